"""Reports of searches in which everything happened that reports have words for: no English sentence is left in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_searches import RunTuner

from trainable.config import TrialConfig
from trainable.errors import UserError
from tuner.conclusions.conclude import conclude_table, conclusions_of
from tuner.conclusions.importances import Importances
from tuner.conclusions.runs import Repeats, Run, Runs
from tuner.conclusions.sentences import lines_of
from tuner.config import SearchConfig, parse_options
from tuner.evidence.gathering import Difference, Evidence, Interval, Split, Spread
from tuner.journal import write_journal
from tuner.links import Links
from tuner.records import SearchRecord
from tuner.replay import replay
from tuner.report.comparison import compare
from tuner.report.comparison_formats import to_markdown as compared
from tuner.report.journal_entry import Standing, to_entry
from tuner.report.leaderboard import to_brief_markdown, to_markdown
from tuner.store import Store

Event = dict[str, Any]

IDENTIFIERS = set(
    """
    B BatchNorm GiB M MiB NAME PED-ANOVA TEST TEXT UTC VAL accuracy adamw all asha average_precision_macro axes
    backbone baseline batch_size best complete compute constant cosine cpu csv data data_seed early_stopped epochs
    extended f1_macro fANOVA failed features fixed freeze freeze_blocks git grace_epochs hash head images kind
    labels latency limits linear lite0 lite1 log logistic_regression loss lr majority md metric mlp none note
    optimizer overrides pareto patience paused pos_weight precision precision_macro pruned rank recall_macro
    reduction_factor reference repeats reruns roc_auc_macro root running sampler schedule scheduler seconds seed
    space split status task test test_reads top tpe train trial trials tuner val version versions within
    """.split()  # noqa: SIM905
)
"""names, which are the same in every language"""
WORDS = re.compile(r"[A-Za-z][A-Za-z_-]+")


def english(text: str, *known: str) -> set[str]:
    """The Latin words of a report that are no names: not of fields, and not of what the search itself brought along."""
    text = re.sub(r"https?://\S+|<!--.*?tuner|`[^`]*`|t\d{4}\S*", " ", text)
    return set(WORDS.findall(text)) - IDENTIFIERS - {word for name in known for word in WORDS.findall(name)}


def started(**fields: Any) -> Event:
    return {
        "kind": "search_started",
        "time": "2026-01-01T00:00:00Z",
        "name": "flowers",
        "language": "ru",
        "space": "quick",
        "task": "multilabel",
        "objective": {"metric": "f1_macro", "direction": "maximize"},
        "sampler": "tpe",
        "scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2},
        "axes": ["backbone", "freeze", "optimizer.lr", "head.kind", "epochs"],
        "trials": 20,
        "labels": ["rose", "tulip"],
        "data": {"root": "flowers", "hash": "12" * 32, "sizes": {"train": 40, "val": 21, "test": 21}, "data_seed": 0},
        "seed": 7,
        "limits": {"latency_ms": 50},
    } | fields


def trial(
    number: int, values: tuple[float, ...], status: str | None, at_end: Event | None = None, **start: Any
) -> list[Event]:
    """One with a value by epoch, whose validation loss rises; `at_end`: what its last event says."""
    id = start.pop("id", f"t{number:04}")
    params = {"backbone": f"lite{number % 2}", "freeze": "all", "optimizer.lr": 10.0**-number, "head.kind": "mlp"}
    params["epochs"] = len(values)
    config = {
        "backbone": params["backbone"],
        "image_size": 64,
        "freeze": "all",
        "head": {"kind": "linear" if number % 3 else "mlp"},
        "optimizer": {"kind": "adamw", "lr": params["optimizer.lr"]},
        "epochs": len(values),
        "batch_size": 32,
    }
    log: list[Event] = [
        {"kind": "trial_started", "trial": id, "number": number - 1, "config": config, "params": params}
        | {"baseline": number == 1, "freeze_blocks": 9, "total_blocks": 9}
        | start
    ]
    for epoch, value in enumerate(values, start=1):
        best = max(values[:epoch])
        val = {"f1_macro": value, "loss": 0.3 + 0.1 * epoch}
        told = {"epoch": epoch, "value": value, "best_value": best, "best_epoch": values.index(best) + 1, "val": val}
        told |= {
            "train_loss": 1 / epoch,
            "seconds": 2.0 * epoch,
            "images_per_second": 22.0,
            "total_parameters": 3_400_000,
        }
        told |= {"features": {"hits": 1, "misses": 1, "bytes": 2**21}, "best": {"labels_left_out": ["tulip"]}}
        log.append({"kind": "epoch", "trial": id, "time": "2026-01-01T00:01:00Z", **told})
    if status:
        log.append({"kind": "trial_ended", "trial": id, "status": status, **(at_end or {})})
    return log


def rerun(of: str, kind: str, number: int, value: float, status: str | None = "complete", **how: Any) -> list[Event]:
    again = {"of": of, "kind": kind, "seed": number, "data_seed": 0, **how}
    return trial(1, (0.1, value), status, id=f"{of}-{kind}{number}", rerun=again, baseline=False)


def rich_log(**fields: Any) -> list[Event]:
    """Finished, halted, audited, paused, failed, diverged, lost, trained on, short of memory; all kinds of reruns."""
    rich = [
        *trial(1, (0.1, 0.2, 0.3, 0.4), "complete"),
        *trial(2, (0.2, 0.3, 0.4, 0.6), "complete", warm_start="t0003-of-old", skipped=[1, 2]),
        *trial(3, (0.1, 0.5, 0.4, 0.4), "early_stopped"),
        *trial(4, (0.7,), "pruned", {"rung": 1}),
        *trial(5, (0.15,), "paused", {"rung": 1}),
        *trial(6, (), "failed", {"error": "CUDA-out"}),
        *trial(7, (0.1,), "pruned", {"error": "NaN"}),
        *trial(8, (), "lost", {"error": "gone"}),
        *trial(9, (), None),
        *trial(10, (0.3, 0.35, 0.4, 0.45), "complete", {"audit": 1}),
        *trial(11, (0.2,), "failed", {"audit": 1, "error": "NaN"}),
        *trial(2, (0.5, 0.65), "complete", id="t0002-e2", parent="t0002", baseline=False),
        *rerun("t0002", "repeat", 1, 0.55),
        *rerun("t0002", "repeat", 2, 0.58),
        *rerun("t0001", "repeat", 1, 0.35, data_seed=1),
        *rerun("t0002", "fold", 1, 0.5, fold=0),
        *rerun("t0002-e2", "fraction", 1, 0.4, train_share=0.5),
        *rerun("t0002", "repeat", 3, 0.5, None),
    ]
    rich += [{"kind": "trial_resumed", "trial": "t0003", "micro_batch": 8, "trains_batch_norm": True}]
    rich += trial(3, (0.1, 0.5, 0.4, 0.4), "early_stopped")[1:]
    for name, value in (("majority", 0.1), ("logistic_regression", 0.62)):
        rich.append({"kind": "reference_scored", "name": name, "val": {"f1_macro": value}, "test": {"f1_macro": value}})
    for id, value in (("t0001", 0.38), ("t0002", 0.52), ("t0002-e2", 0.2)):
        rich.append({"kind": "test_scored", "trial": id, "test": {"f1_macro": value}})
    for backbone, latency in (("lite0", 2.0), ("lite1", 3.0)):
        rich.append(
            {
                "kind": "model_measured",
                "backbone": backbone,
                "image_size": 64,
                "latency_ms": latency,
                "device": "cpu",
                "threads": 2,
            }
        )
    rich.append({"kind": "retrained", "trial": "t0002", "splits": ["train", "val"], "test": {"f1_macro": 0.5}})
    return [
        started(**fields),
        *rich,
        {"kind": "search_ended", "status": "stopped", "reason": "stopped by `tuner stop`"},
    ]


def differs(one: str, other: str, split: Split, metric: str) -> Difference:  # noqa: ARG001
    low = {"majority": 0.1, "logistic_regression": -0.2}.get(other, -0.05)
    return Difference(low + 0.05, low, low + 0.1, 21)


def rich_evidence(search: SearchRecord) -> Evidence:
    ranked = [found.id for found in search.ranked() if found.eligible]
    return Evidence(
        "f1_macro",
        {id: Interval(0.4, 0.7) for id in ranked},
        dict.fromkeys(ranked, 1) | {ranked[0]: 2},
        frozenset(ranked[1:]),
        ranked[1],
        {"t0002": Spread(0.565, 0.02, 2)},
        21,
        11,
        True,
        tuple(ranked[-1:]),
        differs,
    )


def test_a_leaderboard_has_no_english() -> None:
    search = replay(rich_log())
    links = Links(search="https://x", trials={"t0001": "https://x/1"})
    search = replace(search, links=links)
    shares = Importances("PED-ANOVA", 12, {"optimizer.lr": 0.9}, conditional=True)
    evidence = rich_evidence(search)
    conclusions = conclusions_of(search, evidence, shares)
    text = to_markdown(search, evidence, top=8, conclusions=conclusions, plots=["plots/history.png"])
    assert english(text, json.dumps(rich_log()), "optimizer.lr plots history png") == set()
    for heading in (
        "Окупился ли поиск?",
        "Те же конфигурации ещё раз",
        "Помогло бы больше данных?",
        "Выводы",
        "Графики",
    ):
        assert f"## {heading}\n" in text
    assert "## Не навредил ли отсев?" in text
    assert english(to_brief_markdown(search, evidence, 3), json.dumps(rich_log())) == set()


def test_other_footnotes_have_no_english() -> None:
    log = rich_log(task="multiclass")
    search = replay(log)
    evidence = rich_evidence(search)
    for status, changed in [
        ("complete", replace(evidence, seeds=False, tied=frozenset(), ranks={"t0002-e2": 1, "t0002": 2})),
        ("failed", replace(evidence, by_value=tuple(evidence.ranks))),
        ("stopped", replace(evidence, by_value=tuple(evidence.ranks), groups=3)),
        ("running", replace(evidence, seeds=False)),
    ]:
        shown = replace(search, status=status, references=())
        assert english(to_markdown(shown, changed), json.dumps(log)) == set()
    empty = replay([started(), *trial(1, (), "failed", {"error": "x"})])
    assert english(to_markdown(empty), json.dumps(log)) == set()


def test_conclusions_have_no_english() -> None:
    log = rich_log(sampler="random", scheduler={"kind": "none"})
    search = replay(log)
    evidence = rich_evidence(search)
    told = [conclusions_of(search, evidence, Importances("", 0, reason=""))]
    told += [conclusions_of(search), conclusions_of(replace(search, trials=search.trials[:1], sampler="grid"))]
    told += [conclusions_of(replace(search, trials=())), conclusions_of(replace(search, reruns=(), sampler="grid"))]
    for text in told:
        assert english(text, json.dumps(log)) == set()


def effects() -> Iterator[Runs]:
    """Tables whose effects are shown, not shown, without an interval, by two levels and by more."""
    for noise in (0.001, 0.3):
        for kinds in ("ab", "abc"):
            rows = tuple(
                Run(f"r{at}", {"kind": kind, "lr": at}, 0.1 * kinds.index(kind) + noise * (at * 7 % 5))
                for at in range(6)
                for kind in kinds
            )
            runs = Runs("f1", "maximize", rows, ("kind", "lr"), language="ru", epochs="lr", unit="percent points")
            yield runs
            yield replace(runs, rows=rows[: len(kinds)], settings=("kind",), noun="row")
            yield replace(runs, rows=rows[: len(kinds)], repeats=(Repeats("2", (0.1, 0.9)),), noun="trial")
            yield replace(runs, design="random", noun="trial")
            yield replace(runs, design="adaptive", direction="minimize")


def test_effects_have_no_english() -> None:
    from tuner.conclusions.effects import Untold, findings_of
    from tuner.conclusions.sentences import basis_line, untold_line

    for runs in effects():
        found = findings_of(runs)
        told = [line for one in found if not isinstance(one, Untold) for line in lines_of(runs, one)]
        told += [untold_line(runs, [one for one in found if isinstance(one, Untold)]), basis_line(runs, found)]
        assert english("\n".join(told), "kind lr a b c") == set()


def test_a_table_that_someone_typed_is_told_of_without_english(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    header = "id,link,backbone,epochs,seed,f1_pct,loss,seconds,same,"
    rows = ["1,x,lite0,5,1,90,1,2,s,", "2,x,lite0,5,2,92,1,2,s,", "3,x,lite1,5,1,~9,1,2,s,", "4,x,lite1,5,1,95,1,2,s,"]
    path.write_text("\n".join([header, *rows]))
    text = conclude_table(path, ignored=["same"], language="ru")
    assert english(text, header, "runs csv lite s x") == set()
    assert "строка 3: '~9'" in text


def test_a_journal_has_no_english(tmp_path: Path) -> None:
    log = rich_log(hypothesis="")
    search, standing = replay(log), Standing(("t0001", "t0002"), (0.5, 0.7))
    for shown in (
        search,
        replace(search, trials=search.trials[:1]),
        replace(search, trials=()),
        replace(search, about="x"),
    ):
        for status in ("complete", "running", "failed"):
            text = to_entry(replace(shown, status=status), "flowers", standing, ["lr"], "x.md")
            assert english(text, json.dumps(log), "x md") == set()
    for name, language in (("one", "ru"), ("two", "en")):
        store = Store.create(tmp_path, name)
        for event in trial_log(language):
            store.append(event.pop("kind"), event.pop("trial", None), **event)
        store.conclusions_md.write_text("- lr: подтверждено, лучше.\n- head: не подтверждено.\n- x: shown, worse.\n")
    text = Path(write_journal(tmp_path, "ru")).read_text(encoding="utf-8")
    assert "# Журнал" in text
    assert "**Результат:** Лучшее — t0002" in text  # each search in its own language
    assert "**Result:** t0002" in text
    assert text.count("- lr: подтверждено, лучше.\n- x: shown, worse.") == 2


def trial_log(language: str) -> list[Event]:
    events = [started(language=language), *trial(1, (0.1, 0.2), "complete"), *trial(2, (0.1, 0.3), "complete")]
    return [{name: value for name, value in event.items() if name != "time"} for event in events]


def test_a_comparison_has_no_english(tmp_path: Path) -> None:
    space = "axes:\n  optimizer.lr: {float: [1.0e-5, 1.0e-2], log: true, when: {head.kind: [mlp, linear]}}\n"
    for name, other in (
        ("one", {}),
        ("two", {"seed": 8}),
        ("three", {"data": {"hash": "34" * 32}, "labels": ["rose"]}),
    ):
        store = Store.create(tmp_path, name)
        for event in trial_log("ru"):
            kind = event.pop("kind")
            event |= other if kind == "search_started" else {}
            store.append(kind, event.pop("trial", None), **event)
        lines = "".join(f"  {line}\n" for line in (space if name == "two" else "version: 1\n").splitlines())
        store.search_yaml.write_text(f"space: |\n{lines}" if name != "three" else "{}\n")
    for one, other in (("one", "two"), ("one", "three"), ("three", "one")):
        text = compared(compare(one, other, tmp_path, force=True))
        known = json.dumps(TrialConfig(backbone="lite0").model_dump(mode="json"))
        assert english(text, json.dumps(rich_log()), "one two three log", known) == set()
    assert compared(compare("one", "two", tmp_path)).startswith(
        "# one и two\n\nНа валидации f1_macro у обоих одинаково."
    )
    assert compared(compare("one", "two", tmp_path, language="en")).startswith("# one and two\n\nBoth have the same")


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """A search that wrote its reports in Russian."""
    store = Store.create(tmp_path, "flowers")
    for event in trial_log("ru"):
        store.append(event.pop("kind"), event.pop("trial", None), **event)
    store.append("search_ended", status="complete")
    store.conclusions_md.write_text("## Выводы\n\nсвои\n", encoding="utf-8")
    return store


def test_commands_tell_of_a_search_in_its_language_or_another(
    stored: Store, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*command: object) -> str:
        ran = run_tuner(*command)
        assert ran.code == 0, ran.err
        return ran.out

    own = told("leaderboard", stored.folder)
    assert "# flowers: f1_macro (больше — лучше)" in own
    assert "## Выводы\n\nсвои\n" in own  # as they were written
    english = told("leaderboard", stored.folder, "--lang", "en")
    assert "# flowers: f1_macro (higher is better)" in english
    assert "## Conclusions\n\n2 trials finished." in english  # drawn anew
    assert told("conclude", stored.folder).startswith("## Выводы\n\nЗавершено: 2 испытания.")
    assert told("compare", stored.folder, stored.folder).startswith("# flowers (1) и flowers (2)\n")
    assert '<html lang="en">' in told("leaderboard", stored.folder, "--format", "html", "--lang", "en")
    monkeypatch.setenv("THAW_LANG", "en")
    assert told("conclude", stored.folder).startswith("## Conclusions")


def test_a_language_that_is_not_there_is_a_mistake(run_tuner: RunTuner) -> None:
    ran = run_tuner("leaderboard", "flowers", "--lang", "de")
    assert (ran.code, ran.out) == (2, "")
    assert "'en', 'ru'" in ran.err


def test_a_search_keeps_its_language() -> None:
    assert replay([started()]).language == "ru"
    assert replay([started(language=None)]).language == "en"  # of before there were any
    assert replay([started(language="tlh")]).language == "en"  # of a later version
    with pytest.raises(UserError, match="--lang 'de'"):
        parse_options(SearchConfig, name="x", space="quick", data={"path": "."}, language="de")
