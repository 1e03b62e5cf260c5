"""Who goes on to the next rung, by hand."""

from archlab.proxy.rungs import Rungs, Standing, best


def at(digest: str, val_loss: float, macs: int = 1, rung: int = 0) -> Standing:
    return Standing(digest=digest, macs=macs, rung=rung, epochs=3**rung, top1=50.0, val_loss=val_loss, seconds=1.0)


def names(standings: list[Standing]) -> list[str]:
    return [one.digest for one in standings]


def test_a_small_network_is_no_rival_of_a_large_one() -> None:
    """b dominates c (better for less), a is cheapest, d has the least loss: c alone has somebody before it."""
    four = [at("a", 6.0, 1), at("b", 5.0, 2), at("c", 5.1, 3), at("d", 4.0, 4)]
    assert names(best(four, 1)) == ["d", "b", "a", "c"]
    assert names(best(four, 2)) == ["d", "b"]
    assert names(best([at("a", 1.0, 1), at("b", 1.1, 2), at("c", 1.2, 3)], 3)) == ["a"]


def test_the_share_is_rounded_up_and_equals_do_not_dominate() -> None:
    assert names(best([at("b", 5), at("a", 5)], 3)) == ["a"]
    assert names(best([at("d", 4), at("c", 3), at("b", 2), at("a", 1)], 3)) == ["a", "b"]
    assert best([], 3) == []


def test_one_that_arrives_goes_on_if_it_is_among_the_best_so_far() -> None:
    rungs = Rungs(2)
    for standing, goes_on in ((at("a", 5), True), (at("b", 6), False), (at("c", 4), True), (at("d", 4.5), True)):
        rungs.add(standing)  # one of one, one of two, one of three, two of four
        assert rungs.goes_on(standing, 3) is goes_on, standing.digest
    last = at("a", 3, rung=1)
    rungs.add(last)
    assert not rungs.goes_on(last, 3)
    assert rungs.at(1, "a") == last
    assert rungs.at(1, "b") is None


def test_the_expected_loss_is_less_what_others_shed() -> None:
    rungs = Rungs(3, [at("a", 5.0), at("b", 6.0), at("c", 7.0), at("d", 8.0)])
    assert rungs.expected_loss(at("d", 8.0)) == 8.0  # nobody went on yet
    for one in (at("a", 4.0, rung=1), at("b", 5.5, rung=1), at("c", 5.0, rung=1), at("c", 4.25, rung=2)):
        rungs.add(one)  # sheds 1, 0.5, 2 and then 0.75
    assert rungs.expected_loss(at("d", 8.0)) == 6.25
    assert rungs.expected_loss(at("a", 4.0, rung=1)) == 3.25
    assert rungs.expected_loss(at("c", 4.25, rung=2)) == 4.25
    assert rungs.expected_loss(at("e", 1.0)) == 0.0
