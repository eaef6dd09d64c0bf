"""The benchmark's machinery: what it sends, how it counts, what it makes of the counts."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from forecourt.cli.bench import bench
from forecourt.cli.benching import generator, machine, pgbench, report, suite
from forecourt.cli.benching.pgbench import Sent
from forecourt.cli.benching.questions import HAND, SENT, contenders, name_of
from forecourt.cli.benching.rounds import Load, Sample, order
from forecourt.cli.benching.subject import DOORS, IDENTITIES, UNCONSTRAINED, raw, recorded, url
from forecourt.store.lanes import Lane


def test_a_machine_with_one_core_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    result = CliRunner().invoke(bench, ["--quick"])
    assert result.exit_code == 1
    assert "needs two cores" in result.output


def test_an_unknown_scenario_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(bench, ["--scenario", "kex"])
    assert result.exit_code == 2
    assert "key, page" in result.output


def test_the_suite_of_the_source_tree_can_be_read() -> None:
    found = suite.read_suite(suite.suite_folder() / "scenarios.py")
    assert [scenario.name for scenario in found.scenarios] == ["key", "page"]
    assert [page.name for page in found.pages] == ["home", "list", "details"]


def test_a_file_without_a_suite_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scenarios.py").write_text("SUITE = 1\n")
    with pytest.raises(click.ClickException, match="SUITE is missing"):
        suite.read_suite(tmp_path / "scenarios.py")
    with pytest.raises(click.ClickException, match="no such file"):
        suite.read_suite(tmp_path / "absent.py")


def test_an_unknown_page_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(bench, ["portal", "--page", "hom"])
    assert result.exit_code == 2
    assert "home, list, details" in result.output


# ------------------------------------------------------------------------------------------------ pgbench


def test_the_slowest_of_twenty_are_left_out_of_pgbenchs_log(tmp_path: Path) -> None:
    """Its second line is the time in microseconds, its fourth the second; the first second is warming up."""
    lines = [f"0 {n} 9999999 0 100 5" for n in range(5)] + [f"0 {n} {n * 1000} 0 102 5" for n in range(1, 101)]
    (tmp_path / "log.1").write_text("\n".join(lines) + "\n")
    assert pgbench._p95(tmp_path) == 96.0
    assert pgbench._p95(tmp_path / "absent") == 0.0


def test_what_was_sent_keeps_its_parameters_as_parameters() -> None:
    first = Sent("select a\nfrom t where b = CAST($1 AS TEXT) and c = $10", ("x",) * 10, "list")
    (part,) = pgbench.from_sent([[first]])
    assert part.mode == "force_custom_plan"
    assert part.scripts[0].text == "select a from t where b = CAST(:v0_0_1 AS TEXT) and c = :v0_0_10;\n"
    assert part.scripts[0].variables["v0_0_10"] == "x"


def test_each_lane_is_a_part_under_its_own_setting() -> None:
    sent = [[Sent("select 1", (), "list"), Sent("select 2", (), "key")], [Sent("select 3", (), "list")]]
    listed, keyed = pgbench.from_sent(sent)
    assert (listed.mode, [script.text for script in listed.scripts]) == (
        "force_custom_plan",
        ["select 1;\n", "select 3;\n"],
    )
    assert (keyed.mode, [script.text for script in keyed.scripts]) == ("auto", ["select 2;\n"])


def test_times_of_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgbench, "_run", lambda *arguments: pgbench.Outcome(100.0, 2.0, 40.0, 5.0))
    part = pgbench.Part((), "auto")
    assert pgbench.run((part, part), "", 1, 0, 8, 4) == pgbench.Outcome(50.0, 4.0, 80.0, 10.0)


def test_hand_written_names_are_bound_for_each_variant_and_casts_are_left_alone() -> None:
    (part,) = pgbench.by_hand(
        "select a::text\n from t where n = :number", [{"number": "1"}, {"number": "2", "other": "x"}]
    )
    assert [script.text for script in part.scripts] == [
        "select a::text from t where n = :v0_number;\n",
        "select a::text from t where n = :v1_number;\n",
    ]
    assert part.scripts[1].variables == {"v1_number": "2"}


@pytest.mark.parametrize(
    ("value", "text"), [("a\x1fb", "a\x1fb"), (5, "5"), (True, "true"), (dt.date(2026, 10, 1), "2026-10-01")]
)
def test_values_are_written_as_postgresql_reads_them(value: object, text: str) -> None:
    assert pgbench.as_text(value) == text


@pytest.mark.parametrize("value", [None, b"x", ["a"], "a\x00"])
def test_a_value_that_pgbench_cannot_bind_is_an_error_not_another_query(value: object) -> None:
    with pytest.raises(ValueError, match="pgbench cannot bind"):
        pgbench.as_text(value)


def test_the_address_of_the_embedded_server_becomes_options() -> None:
    found = pgbench.arguments("postgresql://postgres@/forecourt?host=%2Ftmp%2Fx")
    assert found == ["-h", "/tmp/x", "-U", "postgres", "forecourt"]


def test_pgbench_failing_is_told_with_its_own_words() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.exit('pgbench: error: no')"], stderr=subprocess.PIPE, text=True
    )
    with process, pytest.raises(click.ClickException, match="pgbench: error: no"):
        pgbench._watched(process, os.getpid(), 1)


# ----------------------------------------------------------------------------------------------- requests


def test_a_question_is_a_url_with_its_values_encoded() -> None:
    assert url("/data/X('{n}')?$filter=A\n   eq 1&$top=5", {"n": "a&b"}) == "/data/X('a%26b')?$filter=A%20eq%201&$top=5"


def test_only_what_is_sent_meanwhile_is_recorded() -> None:
    class Fake(Lane):
        async def fetch(self, sql: str, arguments: object) -> list[object]:
            return [sql]

    async def connect() -> object:
        raise AssertionError

    class Holder:
        _lanes = {"key": Fake(connect, 1, 1)}

    async def run() -> list[Sent]:
        lane = Holder._lanes["key"]
        with recorded(Holder()) as log:  # type: ignore[arg-type]
            assert await lane.fetch("select 1", [5]) == ["select 1"]
        await lane.fetch("select 2", [])
        return log

    assert asyncio.run(run()) == [Sent("select 1", (5,), "key")]


# ---------------------------------------------------------------------------------------------- generator


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def generate(port: int) -> list[str]:
    text = raw(f"http://127.0.0.1:{port}", "/x", "t")
    wanted = {"host": "127.0.0.1", "port": port, "connections": 2, "seconds": 0.2, "warm_up": 0.05, "requests": [text]}
    done = subprocess.run(
        [sys.executable, "-I", str(Path(generator.__file__))],
        input=json.dumps(wanted) + "\ngo\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_generator_counts_whole_answers() -> None:
    with answering(200, b"x" * 300_000) as port:
        ready, line = generate(port)
    counts = json.loads(line)
    assert ready == "ready"
    assert counts["requests"] >= 2
    assert 0 < counts["p50"] <= counts["p99"]
    assert counts["cpu"] > 0


def test_the_generator_stops_at_an_answer_that_is_not_200() -> None:
    with answering(403, b"no") as port:
        (line,) = generate(port)
    assert "403" in json.loads(line)["error"]


# -------------------------------------------------------------------------------------------- measurement


def test_cpu_time_of_a_tree_covers_children_that_are_gone() -> None:
    work = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    script = (
        "import subprocess, sys; print(flush=True); input()\n"
        f"subprocess.run([sys.executable, '-c', {work!r}], check=True); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        assert process.pid in machine.tree(os.getpid())
        before = machine.cpu_time(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        used = machine.cpu_time(process.pid) - before
        process.communicate(b"\n")
    assert used >= 150_000


KEYS = [(door, identity) for identity in IDENTITIES for door in DOORS]


def test_each_contender_is_first_once_and_comes_once_a_round() -> None:
    names = contenders(KEYS)
    rounds = [order(names, number) for number in range(len(names))]
    assert {each[0] for each in rounds} == set(names)
    assert all(sorted(each) == sorted(names) for each in rounds)


def sample(rate: float, server: float, postgres: float, load: float = 10.0) -> Sample:
    return Sample(rate, 1.0, 2.0, server, postgres, load)


def test_ratios_are_taken_within_a_round() -> None:
    slow_then_fast = [sample(100, 100, 10), sample(1000, 100, 10)]
    by_hand = [sample(200, 0, 50), sample(2000, 0, 50)]
    assert report.ratios(slow_then_fast, by_hand, report._rate) == report.Spread(0.5, 0.5, 0.5)


def test_goals_are_judged_against_the_same_sql_and_against_sql_by_hand() -> None:
    found = suite.read_suite(suite.suite_folder() / "scenarios.py")
    taken = {name: [sample(100, 200, 50)] for name in contenders((*KEYS, (DOORS[0], UNCONSTRAINED)))}
    taken[HAND], taken[SENT] = [sample(1000, 0, 40, load=20)], [sample(400, 0, 90, load=20)]
    taken[name_of(DOORS[1], IDENTITIES[0])] = [sample(100, 300, 50)]
    taken[name_of(DOORS[0], UNCONSTRAINED)] = [sample(100, 190, 40)]
    same, by_hand, virtual, policy = report.verdicts(found, {"key": taken})
    assert (same.ratio.median, same.met) == (0.25, True)
    assert (by_hand.ratio.median, by_hand.met) == (0.1, False)
    assert (virtual.ratio.median, virtual.met) == (1.4, False)
    assert "wanted at most 1.30: missed" in str(virtual)
    assert round(policy.ratio.median, 3) == 1.087 and not policy.met


def test_the_defaults_give_every_contender_the_same_time() -> None:
    assert Load() == Load(rounds=5, seconds=4, warm_up=1.0, connections=8)
