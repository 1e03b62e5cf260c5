(function () {
  "use strict";
  var font = { small: 11, name: 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif' };

  function draw(place) {
    var chart = JSON.parse(document.getElementById(place.dataset.chart + "-data").textContent);
    if (place.clientWidth < 560) narrow(chart);
    place.near = { x: (chart.layout.xaxis.range || []).slice(), y: (chart.layout.yaxis.range || []).slice() };
    Plotly.newPlot(place, chart.data, chart.layout, {
      responsive: true, displayModeBar: false, showSendToCloud: false, showTips: false
    });
  }

  function narrow(chart) {
    chart.layout.font.size = font.small;
    chart.layout.legend.font.size = font.small;
    chart.layout.margin.l = 44;
    chart.layout.margin.r = 8;
    chart.layout.dragmode = false;
    chart.layout.xaxis.title.text = chart.layout.xaxis.title.text.replace("(ms), ", "(ms),<br>");
    chart.data.forEach(function (trace) { if (trace.mode === "markers+text") trace.visible = false; });
  }

  function view(button) {
    var place = document.querySelector('[data-chart="' + button.dataset.for + '"]');
    if (button.dataset.view === "save") {
      Plotly.downloadImage(place, { format: "svg", width: 1000, height: 560, filename: button.dataset.for });
    } else if (button.dataset.view === "near") {
      Plotly.relayout(place, { "xaxis.range": place.near.x.slice(), "yaxis.range": place.near.y.slice() });
    } else {
      Plotly.relayout(place, { "xaxis.autorange": true, "yaxis.autorange": true });
    }
  }

  function key(row, column) {
    var cell = row.cells[column], value = cell.dataset.v;
    if (value === undefined) return cell.textContent.trim();
    return value === "" || value === "None" ? Infinity : Number(value);
  }

  function sort(header) {
    var table = header.closest("table"), body = table.tBodies[0], column = header.cellIndex;
    var up = header.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    Array.from(body.rows).sort(function (a, b) {
      var x = key(a, column), y = key(b, column);
      if (x === Infinity || y === Infinity) return x === y ? 0 : x === Infinity ? 1 : -1;
      var order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
      return up ? order : -order;
    }).forEach(function (row) { body.appendChild(row); });
  }

  document.querySelectorAll("[data-chart]").forEach(draw);
  document.querySelectorAll("[data-view]").forEach(function (button) {
    button.addEventListener("click", function () { view(button); });
  });
  document.querySelectorAll("table.sortable thead th").forEach(function (header) {
    header.addEventListener("click", function () { sort(header); });
  });
  document.querySelectorAll("[data-model]").forEach(function (button) {
    button.addEventListener("click", function () {
      document.getElementById(button.dataset.for).textContent = button.dataset.model;
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll(".chart.low").forEach(function (place) { Plotly.relayout(place, { width: 310, height: 230 }); });
  });
  window.addEventListener("afterprint", function () {
    document.querySelectorAll(".chart.low").forEach(function (place) { Plotly.relayout(place, { width: null, height: null, autosize: true }); });
  });
})();
