"""What a figure says, and that a figure that must hold fails the run when it does not."""

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as program
from bench.report import Figure, compared, median, quantile, save, text


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(200, 0, -1)]
    assert quantile(values, 0.99) == 198
    assert quantile(values, 0.5) == 100
    assert quantile(values, 1.0) == 200
    assert quantile([7.0], 0.99) == 7
    assert median([3.0, 1.0, 2.0, 4.0]) == 2


def test_a_figure_tells_what_it_was_compared_with() -> None:
    figure = compared("open+close", 500.0, "ns", "nothing", 400.0)
    assert figure.ratio == 1.25
    assert figure.compared_with == "nothing: 400 ns"
    assert compared("x", 1.0, "ns", "nothing", 0.0).ratio is None


def test_numbers_are_not_more_exact_than_measured() -> None:
    assert [text(value) for value in (0.0, 12.0, 0.123456, 99.987, 123456.7)] == [
        "0",
        "12",
        "0.1235",
        "99.99",
        "123,457",
    ]


def test_the_file_has_machine_and_figures(tmp_path: Path) -> None:
    save(tmp_path / "out", "opens", [Figure("a", 1.5, "ns", must_be=1.5)], quick=False)
    record = json.loads((tmp_path / "out" / "opens.json").read_text())
    assert record["figures"] == [
        {"name": "a", "value": 1.5, "unit": "ns", "compared_with": "", "ratio": None}
    ]
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["kernel"]
    assert not record["quick"]
    save(tmp_path / "out", "opens", [Figure("a", 9.9, "ns")], quick=True)
    assert json.loads((tmp_path / "out" / "opens.json").read_text()) == record


@pytest.mark.parametrize(("lost", "status"), [(0, 0), (3, 1)])
def test_a_loss_fails_the_run(
    lost: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = type(sys)("bench_made_up")
    made.run = lambda settings: [Figure("lost", lost, "events", must_be=0)]
    monkeypatch.setitem(sys.modules, "bench_made_up", made)
    monkeypatch.setattr(program, "BENCHMARKS", {"made-up": "bench_made_up"})
    monkeypatch.setattr(program, "OUT", tmp_path)
    monkeypatch.setattr(program, "missing_for_containers", lambda: "")
    monkeypatch.setattr(sys, "argv", ["bench", "made-up", "--quick"])
    assert program.main() == status


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "opnes"])
    with pytest.raises(SystemExit):
        program.main()
    assert "opnes" in capsys.readouterr().err
