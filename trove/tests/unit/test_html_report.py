"""The run as an HTML file: complete, and harmless whatever it tells of."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from trove.tests.fixtures.applicability import Reason, skip
from trove.tests.fixtures.html_report import _case
from trove.tests.harness import html_report
from trove.tests.harness.html_report import Axis, Case, Report
from trove.tests.harness.timeline import Life, Phase, Wait

ALL_OUTCOMES = """
    import pytest
    from trove.tests.fixtures.applicability import Reason, skip

    @pytest.fixture
    def broken(): raise OSError("no such thing")

    def test_passes(shared_instance): pass
    def test_passes_elsewhere(spare_instance): pass
    def test_fails(): assert "this" == "that"
    def test_errs(broken): pass
    def test_skips(): skip(Reason.NEEDS_SERVICE, "there is no key manager")
    @pytest.mark.xfail(reason="known for long")
    def test_is_known_to_fail(): raise AssertionError
"""
# Of a test, an instance, whatever: all that HTML cares about, and 255 characters of it.
EVIL = """<script>document.title = "owned"</script>\n</pre>"'&{{ 7 * 7 }}""".ljust(255, "x")
CHROMIUM = (
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # What pages write to their console goes to standard error.
    "--enable-logging=stderr",
)


class Page(HTMLParser):
    """What is in a report.

    Args:
        text: the report's.

    Attributes:
        tags: pairs of a tag and its attributes.
        shown: all text but that of style and script.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self._rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        self.tags.append((tag, dict(attrs)))
        if tag == "tr" and "data-outcome" in dict(attrs):
            self._rows.append([])
        elif tag == "td" and self._rows:
            self._rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """See ``HTMLParser``."""
        if self.tags and self.tags[-1][0] not in ("style", "script"):
            self.shown += data
            if self._rows and self._rows[-1]:
                self._rows[-1][-1] += data

    def structure(self) -> list[tuple[str, list[str]]]:
        """Return the tags, each with the names of its attributes."""
        return [(tag, list(attributes)) for tag, attributes in self.tags]

    def verdict(self) -> str:
        """Return what the title says of the run."""
        return re.search(r"run \w+: (\w+)", self.shown)[1]

    def cases(self) -> list[list[str]]:
        """Return the cells of each row of the table of tests."""
        return [[cell.strip() for cell in row] for row in self._rows]

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each test by its name, without its parameters."""
        return {re.split(r"::|\s|\[", name)[1]: outcome for outcome, name, *_ in self.cases()}


def evil_report(name: str = EVIL) -> Report:
    """Return a report in which all that tests and clouds name is named so."""
    return Report(
        facts={"run": name, name: name},
        start=1000,
        end=1100,
        verdict="failed",
        ended_by=name,
        cases=(
            Case(name, "failed", "gw0", 1000, {"call": 50}, texts=((name, name),)),
            Case("test_fine", "passed", "gw1", 1000, {"setup": 1, "call": 2, "teardown": 3}),
            Case("test_skipped", "skipped", "gw1", 1006, {"setup": 0.1}, name, name),
        ),
        lives=(Life(name, name, (Phase("BUILD", 1000, 1030), Phase(name, 1030, 1090))),),
        waits=(Wait(name, 1000, 30, False, name),),
        left=(name,),
    )


@pytest.fixture
def report(project) -> Callable[..., Page]:
    """Runs pytest for a report, and returns what is in it."""

    def run(*args: str) -> Page:
        project.run("--datastore=mysql", "--html-report=it/report.html", *args, ".")
        return Page((project.pytester.path / "it" / "report.html").read_text())

    return run


@pytest.mark.parametrize(
    ("options", "workers"), [((), {"main"}), (("-n2",), {"gw0", "gw1"})], ids=["alone", "xdist"]
)
def test_a_report_has_all_that_became_of_a_run(project, report, options, workers):
    project.pytester.makepyfile(ALL_OUTCOMES)

    page = report(*options)

    assert page.outcomes() == {
        "test_passes": "passed",
        "test_passes_elsewhere": "passed",
        "test_fails": "failed",
        "test_errs": "error",
        "test_skips": "skipped",
        "test_is_known_to_fail": "xfailed",
    }
    (run,) = project.runs
    for told in (
        run.id,
        "mysql-9.7-debian-trixie=0123456789abcdef",
        "needs_service: there is no key manager",
        "known for long",
        "assert 'this' == 'that'",
        "OSError: no such thing",
        f"instance {run.prefix}shared-",
    ):
        assert told in page.shown
    assert {worker for _, _, worker, *_ in page.cases()} == workers


@pytest.mark.parametrize(
    ("options", "controller"), [((), "getpid"), (("-n2",), "getppid")], ids=["alone", "xdist"]
)
def test_a_run_that_is_interrupted_is_reported(project, report, options, controller):
    project.pytester.makepyfile(
        f"""
        import os, signal, time

        def test_passes(shared_instance): pass

        def test_is_interrupted(shared_instance):
            time.sleep(1)  # The controller hears of the first test.
            os.kill(os.{controller}(), signal.SIGINT)
            time.sleep(2)

        def test_is_never_begun(shared_instance): pass
        """
    )

    page = report(*options)

    assert page.outcomes()["test_passes"] == "passed"
    assert "test_is_never_begun" not in page.outcomes()
    assert page.verdict() == "interrupted"
    assert "Ended before its time: KeyboardInterrupt" in page.shown
    assert project.cloud.all("instance") == []


def test_why_there_was_no_cloud_is_reported(project, report, monkeypatch):
    monkeypatch.setenv("FAKE_CLOUD_IS_DOWN", "1")
    project.pytester.makepyfile("def test_it(shared_instance): pass")
    page = report()
    assert page.verdict() == "failed"
    assert "Ended before its time: Keystone of cloud 'fake' can't be reached." in page.shown


def test_what_could_not_be_deleted_is_reported(project, report, monkeypatch):
    monkeypatch.setenv("FAKE_DELETE_FAILS", "1")
    project.pytester.makepyfile("def test_it(shared_instance): pass")
    page = report()
    assert page.verdict() == "passed"
    assert re.search(r"Not cleaned up\s+instance trove-scenario-.*: it is locked", page.shown)


def test_a_file_that_can_not_be_collected_is_reported(project, report):
    project.pytester.makepyfile("import nothing_like_that")
    page = report()
    assert "No module named 'nothing_like_that'" in page.shown
    ((outcome, *_),) = page.cases()
    assert outcome == "error"


def test_a_dead_worker_is_reported(project, report):
    project.pytester.makepyfile("import os\ndef test_it(): os._exit(1)")
    page = report("-n1", "--max-worker-restart=0")
    assert page.outcomes() == {"test_it": "failed"}
    assert "crashed while running" in page.shown


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_of_a_test_that_was_tried_again_all_attempts_are_counted(project, report, options):
    project.pytester.makepyfile(
        """
        def test_is_tried_again(cloud, ail_once):
            ail_once()

        def test_is_tried_once(cloud): pass
        """
    )
    page = report("--rerun-environment=1", *options)
    again, once = sorted(name for _, name, *_ in page.cases())
    assert re.fullmatch(r".*::test_is_tried_again\s+2 attempts", again)
    assert re.fullmatch(r".*::test_is_tried_once", once)


def test_of_a_test_that_was_tried_again_the_last_attempt_has_the_times():
    def told(when, start, seconds, rerun):
        return pytest.TestReport(
            *("test_it", ("", 0, ""), {}, "passed", None, when),
            start=start,
            duration=seconds,
            rerun=rerun,
        )

    case = _case(
        "test_it",
        [
            ("passed", told("call", 1062, 3, 1)),
            # What has failed in the first attempt is counted as no outcome.
            ("", told("setup", 1000, 1, 0)),
            ("", told("teardown", 1059, 9, 0)),
            ("", told("setup", 1060, 2, 1)),
        ],
    )
    assert (case.start, case.seconds, case.attempts) == (1060, {"setup": 2, "call": 3}, 2)


def test_no_password_is_reported(project, report):
    project.pytester.makepyfile(
        """
        from trove.tests.harness.redaction import remember

        def test_it(shared_instance):
            print(remember("told-by-" + "trove"))
            assert "told-by-" + "trove" == shared_instance.login.password
        """
    )
    page = report()
    assert "[hidden]" in page.shown
    assert "told-by-trove" not in page.shown


def test_a_report_that_can_not_be_written_is_missed_in_one_line(project):
    project.pytester.makepyfile("def test_it(): pass")
    result = project.run("--html-report=/proc/none/report.html", ".")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["There is no HTML report: *No such file or directory*"])


def test_no_name_becomes_markup():
    page, harmless = (
        Page(html_report.render(report)) for report in (evil_report(), evil_report("harmless"))
    )
    assert page.structure() == harmless.structure()
    assert EVIL in page.shown
    assert page.cases()[0][1] == EVIL


def test_a_report_needs_nothing_but_itself():
    page = Page(html_report.render(evil_report()))
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith("#") for address in addresses)


def test_a_report_of_nothing_says_so():
    page = Page(html_report.render(Report({"run": "id"}, 1000, 1000, "failed")))
    assert "No test was begun." in page.shown


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (0, ["0 s"]),
        (3, ["0 s", "1 s", "2 s", "3 s"]),
        (500, ["0 s", "2 min", "4 min", "6 min", "8 min"]),
        (7300, ["0 s", "20 min", "40 min", "1 h", "1 h 20 min", "1 h 40 min", "2 h"]),
    ],
)
def test_an_axis_has_few_round_marks(seconds, marks):
    axis = Axis(1000, 1000 + seconds)
    assert [label for _, label in axis.marks] == marks
    assert all(0 <= place <= 100 for place, _ in axis.marks)


def test_what_is_outside_of_an_axis_is_at_its_edge():
    axis = Axis(1000, 1100)
    assert [axis.at(moment) for moment in (0, 1050, 9999)] == [0, 50, 100]


@pytest.fixture
def browse(tmp_path, monkeypatch) -> Callable[[str], tuple[str, str]]:
    """Opens an address in a real browser; returns the document it has then, and its console."""
    if not shutil.which(CHROMIUM[0]):
        skip(Reason.NEEDS_BROWSER, f"{CHROMIUM[0]} is not installed: see integration/bindep.txt")
    monkeypatch.setenv("HOME", str(tmp_path))

    def browse(address: str) -> tuple[str, str]:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        opened = subprocess.run(
            [*CHROMIUM, profile, "--dump-dom", address],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        console = [line for line in opened.stderr.splitlines() if "CONSOLE" in line]
        return opened.stdout, "\n".join(console)

    return browse


def test_a_browser_tells_of_an_error_of_a_script(browse, tmp_path):
    (tmp_path / "page.html").write_text("<script>throw new Error('told')</script>")
    _, console = browse((tmp_path / "page.html").as_uri())
    assert "told" in console


def test_a_browser_shows_the_report_and_filters_its_tests(browse, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html_report.render(evil_report()))

    document, console = browse(f"{file.as_uri()}#outcome=passed&text=FINE")

    assert console == ""
    page = Page(document)
    assert "1 of 3 tests" in page.shown
    hidden = [each["data-outcome"] for tag, each in page.tags if tag == "tr" and "hidden" in each]
    assert hidden == ["failed", "skipped"]
    assert "<title>owned</title>" not in document
    assert EVIL in page.shown
