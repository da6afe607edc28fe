"""What the page of a long search takes: its HTML, the browser's time and memory, and how late news are seen.

The server is `tuner serve` in a process of its own, the browser Chromium without a window. The search is written by
hand, event by event, as its process would: two of three trials are complete and have predictions, so that intervals and
ranks are computed as they are of a real one; the third was halted.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.comparing import ROOT, as_text, facts, parser, publish, scratch_folder
from benchmarks.serving import Served, served

sys.path.append(str(ROOT / "tests"))
from small_browsers import launched, opened_window
from small_predictions import IMAGES, PredictedSearch
from told_search import ToldSearch

NAME = "predicted"
EPOCHS = 9
TIMES = 9
"""that each thing is done"""
FOLLOWED_EPOCHS = 80
"""that are told, four a second"""
OPENED = """() => {
    const [opened] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return [opened.responseEnd, paint.startTime, opened.domContentLoadedEventEnd];
}"""
LONG_TASKS = """() => {
    const found = {most: 0, sum: 0};
    new PerformanceObserver((list) => list.getEntries().forEach(({duration}) => {
        found.most = Math.max(found.most, duration);
        found.sum += duration;
    })).observe({entryTypes: ["longtask"]});
    return found;
}"""
SORTED_ANEW = """was => document.querySelector("th:has(#by-1)").ariaSort !== was"""
Row = list[str]


def tell_search(results: Path, trials: int) -> ToldSearch:
    """A search that runs, and that has ended so many trials."""
    search = PredictedSearch(results, name=NAME, trials=2 * trials, axes=["optimizer.lr", "freeze"])
    told, rng = ToldSearch(search.store), np.random.default_rng(0)
    with search.store.lock():
        for number in range(trials):
            trial, is_halted = f"t{number + 1:04}", number % 3 == 2
            value = 0.4 if is_halted else search.score(trial, rng.random(IMAGES) < rng.uniform(0.5, 0.9))
            values = [value * (1 - 1 / (epoch + 2)) for epoch in range(2 if is_halted else EPOCHS - 1)]
            status = "pruned" if is_halted else "complete"
            told.trial(trial, number, *values, value, status=status, lr=1e-5 + number * 1e-6, baseline=number == 0)
    return told


def log_in(page: Any, server: Served) -> None:
    page.goto(f"{server.url}/login")
    page.fill("#token", server.token)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}/")


def opening(page: Any, url: str) -> Iterator[Row]:
    """What it takes until the page is there; the first time, the server reads the log."""
    times: list[list[float]] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("#curves canvas")
        times.append([*page.evaluate(OPENED), 1000 * (time.perf_counter() - began)])
    yield ["HTML, kB", f"{len(page.request.get(url).body()) / 1000:.0f}"]
    for at, what in enumerate(("answer", "first paint", "DOM ready", "curves drawn")):
        found = [one[at] for one in times]
        yield [
            f"until {what}, ms: the first time, median of {TIMES}",
            f"{found[0]:.0f}, {statistics.median(found):.0f}",
        ]


def using(page: Any, trials: int) -> Iterator[Row]:
    """How long it is until the table shows what was asked for."""

    def find(text: str, shown: str) -> float:
        return _milliseconds(lambda: (page.fill("#find", text), page.wait_for_selector(shown)))

    def sort() -> float:
        was = page.get_attribute("th:has(#by-1)", "aria-sort")
        return _milliseconds(lambda: (page.click("#by-1"), page.wait_for_function(SORTED_ANEW, arg=was)))

    found = []
    for _ in range(TIMES):
        found.append(find(f"t{trials:04}", f"#row-t{trials:04}:only-child"))
        find("", "#more")
    yield ["Find, ms, of which 150 wait for more letters", f"{statistics.median(found):.0f}"]
    yield ["sorting by a column, ms", f"{statistics.median(sort() for _ in range(TIMES)):.0f}"]


def following(page: Any, told: ToldSearch, trials: int, server: Served) -> Iterator[Row]:
    """What it takes to keep the page as the search is."""
    page.wait_for_selector("#stream[data-state=live]")
    process = psutil.Process(server.pid)
    with told.store.lock():
        late = [_until_seen(page, told, trials + number) for number in range(TIMES)]
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        tasks = page.evaluate_handle(LONG_TASKS)
        for epoch in range(FOLLOWED_EPOCHS):
            told.epoch(f"t{trials + epoch % TIMES + 1:04}", epoch // TIMES + 1, 0.6)
            page.wait_for_timeout(250)
        took = time.monotonic() - began
        share, long = (sum(process.cpu_times()[:2]) - used) / took, tasks.json_value()
    yield ["from a trial's start to its row, ms: median, most", f"{statistics.median(late):.0f}, {max(late):.0f}"]
    yield ["four epochs a second: CPU of the server", f"{100 * share:.0f} % of a core"]
    yield ["likewise: the page's longest task, ms", f"{long['most']:.0f}"]
    yield ["likewise: share of the time in tasks over 50 ms", f"{long['sum'] / (10 * took):.0f} %"]
    yield ["memory of the page's scripts, MB", f"{page.evaluate('performance.memory.usedJSHeapSize') / 1e6:.0f}"]
    yield ["elements of the page", str(page.evaluate("document.querySelectorAll('*').length"))]
    yield ["memory of the server, MiB", f"{process.memory_info().rss / 2**20:.0f}"]


def _until_seen(page: Any, told: ToldSearch, number: int) -> float:
    trial = f"t{number + 1:04}"
    told.begin_trial(trial, number)
    return _milliseconds(lambda: page.wait_for_selector(f"#training-{trial}"))


def _milliseconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    options = parser(__doc__.splitlines()[0], rounds=1)
    options.add_argument("--trials", type=int, default=1000)
    given = options.parse_args()
    with scratch_folder(given.scratch) as scratch:
        told = tell_search(scratch / "results", given.trials)
        with (
            served(scratch, scratch / "results") as server,
            launched() as browser,
            opened_window(browser, viewport={"width": 1280, "height": 900}) as opened,
        ):
            page, url = opened.page, f"{server.url}/searches/{NAME}"
            log_in(page, server)
            rows = [*opening(page, url), *using(page, given.trials)]
            page.goto(url)
            rows += following(page, told, given.trials, server)
    made = facts(f"python -m benchmarks.long_search {' '.join(sys.argv[1:])}", 1)
    publish(given.out, made, {f"The page of a search of {given.trials} trials": as_text(rows, ("what", "figure"))}, {})


if __name__ == "__main__":
    main()
