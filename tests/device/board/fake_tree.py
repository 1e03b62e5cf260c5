"""File trees as boards show them under /sys, /proc and /etc."""

from pathlib import Path

__all__ = ["nano_jetpack4", "orin", "thor", "write"]

BOOT = "proc/sys/kernel/random/boot_id"
ORIN_GPU_ZONE = "sys/class/thermal/thermal_zone1/temp"


def write(root: Path, files: dict[str, str]) -> Path:
    """Write a tree."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def orin(root: Path) -> Path:
    """An AGX Orin with JetPack 6: INA3221 by hwmon, the GPU's devfreq, two zones that count."""
    power = "sys/bus/i2c/devices/1-0040/hwmon/hwmon3"
    other = "sys/bus/i2c/devices/1-0041/hwmon/hwmon4"
    gpu = "sys/class/devfreq/17000000.gpu"
    return write(
        root,
        {
            "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
            BOOT: "11111111-aaaa",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64",
            "var/lib/nvpmodel/status": "pmode:0000",
            "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_30W >",
            f"{gpu}/governor": "nvhost_podgov",
            f"{gpu}/min_freq": "306000000",
            f"{gpu}/max_freq": "1300500000",
            f"{gpu}/cur_freq": "1300500000",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "44000",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
            ORIN_GPU_ZONE: "41500",
            "sys/class/thermal/thermal_zone1/trip_point_0_type": "passive",
            "sys/class/thermal/thermal_zone1/trip_point_0_temp": "97000",
            f"{power}/in1_label": "VDD_GPU_SOC",
            f"{power}/in1_input": "20000",
            f"{power}/curr1_input": "500",
            f"{power}/in2_label": "VDD_CPU_CV",
            f"{power}/in2_input": "20000",
            f"{power}/curr2_input": "100",
            f"{power}/in3_label": "VIN_SYS_5V0",
            f"{power}/in3_input": "5000",
            f"{power}/curr3_input": "800",
            f"{power}/in7_label": "Sum of shunt voltages",
            f"{power}/in7_input": "1",
            f"{other}/in2_label": "NC",
            f"{other}/in2_input": "9999",
            f"{other}/curr2_input": "9999",
        },
    )


def nano_jetpack4(root: Path) -> Path:
    """A Jetson Nano with JetPack 4: INA3221 by iio."""
    power = "sys/bus/i2c/devices/6-0040/iio:device0"
    return write(
        root,
        {
            "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
            BOOT: "22222222-bbbb",
            "etc/nv_tegra_release": "# R32 (release), REVISION: 7.2, GCID: 1, BOARD: t210ref, EABI: aarch64",
            "sys/class/devfreq/57000000.gpu/governor": "nvhost_podgov",
            "sys/class/devfreq/57000000.gpu/max_freq": "921600000",
            "sys/class/devfreq/57000000.gpu/cur_freq": "921600000",
            f"{power}/rail_name_0": "POM_5V_IN",
            f"{power}/in_power0_input": "4321",
            f"{power}/rail_name_1": "POM_5V_GPU",
            f"{power}/in_power1_input": "1200",
        },
    )


def thor(root: Path) -> Path:
    """A Thor, whose clocks must not be read."""
    return write(
        root,
        {
            "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
            BOOT: "33333333-cccc",
            "etc/nv_tegra_release": "# R38 (release), REVISION: 2.0, GCID: 1, BOARD: generic, EABI: aarch64",
            "sys/class/devfreq/gpu-gpc-0/governor": "performance",
            "sys/class/devfreq/gpu-gpc-0/max_freq": "1575000000",
            "sys/class/devfreq/gpu-gpc-0/cur_freq": "1575000000",
        },
    )
