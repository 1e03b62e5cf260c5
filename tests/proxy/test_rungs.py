"""Who goes on to the next rung, by hand."""

from archlab.proxy.rungs import Rungs, Standing, best


def at(digest: str, top1: float, macs: int = 1, rung: int = 0) -> Standing:
    return Standing(digest=digest, macs=macs, rung=rung, epochs=3**rung, top1=top1, val_loss=1.0, seconds=1.0)


def names(standings: list[Standing]) -> list[str]:
    return [one.digest for one in standings]


def test_a_small_network_is_no_rival_of_a_large_one() -> None:
    """b dominates c (better for less), a is cheapest, d most accurate: c alone has somebody before it."""
    four = [at("a", 40, 1), at("b", 50, 2), at("c", 49, 3), at("d", 60, 4)]
    assert names(best(four, 1)) == ["d", "b", "a", "c"]
    assert names(best(four, 2)) == ["d", "b"]
    assert names(best([at("a", 10, 1), at("b", 9, 2), at("c", 8, 3)], 3)) == ["a"]


def test_the_share_is_rounded_up_and_equals_do_not_dominate() -> None:
    assert names(best([at("b", 5), at("a", 5)], 3)) == ["a"]
    assert names(best([at("d", 1), at("c", 2), at("b", 3), at("a", 4)], 3)) == ["a", "b"]
    assert best([], 3) == []


def test_one_that_arrives_goes_on_if_it_is_among_the_best_so_far() -> None:
    rungs = Rungs(2)
    for standing, goes_on in ((at("a", 50), True), (at("b", 40), False), (at("c", 60), True), (at("d", 55), True)):
        rungs.add(standing)  # one of one, one of two, one of three, two of four
        assert rungs.goes_on(standing, 3) is goes_on, standing.digest
    last = at("a", 70, rung=1)
    rungs.add(last)
    assert not rungs.goes_on(last, 3)
    assert rungs.at(1, "a") == last
    assert rungs.at(1, "b") is None


def test_the_expected_accuracy_adds_what_others_gained() -> None:
    rungs = Rungs(3, [at("a", 50), at("b", 40), at("c", 30), at("d", 20)])
    assert rungs.expected_top1(at("d", 20)) == 20  # nobody went on yet
    for one in (at("a", 60, rung=1), at("b", 44, rung=1), at("c", 50, rung=1), at("c", 57, rung=2)):
        rungs.add(one)  # gains 10, 4, 20 and then 7
    assert rungs.expected_top1(at("d", 20)) == 37
    assert rungs.expected_top1(at("a", 60, rung=1)) == 67
    assert rungs.expected_top1(at("c", 57, rung=2)) == 57
    assert rungs.expected_top1(at("e", 90)) == 100
