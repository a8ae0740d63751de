import textwrap

import pytest

SCENARIO = """
    import pytest

    def test_shared(cloud, shared_instance):
        pass

    def test_spec(cloud, instance_spec):
        pass

    def test_nothing_of_it():
        pass
"""


@pytest.fixture
def collect(pytester, plugins):
    """Collect the tests of a small project; return pytest's result."""
    pytester.mkdir("scenario")
    (pytester.path / "scenario" / "test_it.py").write_text(textwrap.dedent(SCENARIO))

    def run(*args):
        return pytester.runpytest_inprocess("--collect-only", "-q", *args)

    return run


def selected(result):
    return [line.split("::")[1] for line in result.outlines if "::" in line]


def test_the_mark_selects_by_the_value_of_the_parameter(collect):
    assert selected(collect("-m", "mysql")) == [
        "test_shared[mysql-9.7-debian-trixie]",
        "test_spec[mysql-9.7-debian-trixie]",
    ]


def test_a_mark_selects_the_tests_of_its_datastore(collect):
    for datastore in ("mysql", "mariadb", "postgresql"):
        found = selected(collect("-m", datastore))
        assert len(found) == 2
        assert all(f"[{datastore}-" in test for test in found)


def test_a_bare_pytest_runs_no_scenario(collect):
    assert selected(collect()) == ["test_nothing_of_it"]


def test_a_test_with_fixtures_of_its_own_is_no_scenario(pytester, plugins):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def cloud(): return "mine"

        @pytest.fixture
        def target(): return "mine"

        def test_it(cloud, target): pass
        """
    )
    result = pytester.runpytest_inprocess("--collect-only", "-q", ".")
    assert selected(result) == ["test_it"]
    result = pytester.runpytest_inprocess("--collect-only", "-q", "-m", "mysql", ".")
    assert selected(result) == []


def test_a_path_is_enough_to_run_them(collect):
    assert len(selected(collect("scenario"))) == 7


def test_collecting_needs_no_cloud_and_leaves_nothing(collect, tmp_path):
    collect("-m", "mysql", "--os-cloud=nowhere")
    assert not (tmp_path / "home").exists()


def test_a_version_may_be_asked_for(collect):
    assert len(selected(collect("-m", "mysql", "--datastore=mysql:9.7"))) == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--datastore=oracle"], "There is no datastore 'oracle'; known are: *mysql*."),
        (["--datastore=mysql:1.0"], "There is no version of mysql '1.0'; known are: *9.7*."),
        (["--distro=bsd"], "There is no distribution for * 'bsd'; known are: *debian-trixie*."),
        (["--timeout-scale=fast"], "--timeout-scale can't be 'fast'; it is a number."),
        (["--timeout-scale=0"], "--timeout-scale can't be 0; it is too small."),
        (["--volume-size=-1"], "--volume-size can't be -1; it is too small."),
        (["--access=magic"], "--access can't be 'magic'; it is one of: private, public."),
        (["--html-report=."], "--html-report can't be .; it is a folder."),
    ],
)
def test_a_wrong_option_ends_the_run_with_one_sentence(collect, args, message):
    result = collect(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_the_environment_gives_options(collect, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_DATASTORE", "oracle")
    assert collect().ret == pytest.ExitCode.USAGE_ERROR


def test_the_command_line_goes_before_the_environment(collect, monkeypatch):
    monkeypatch.setenv("TROVE_SCENARIO_DATASTORE", "oracle")
    assert len(selected(collect("-m", "mysql", "--datastore=mysql"))) == 2


def test_the_ini_file_gives_options(collect):
    assert collect("-o", "trove_datastore=oracle").ret == pytest.ExitCode.USAGE_ERROR


def test_help_names_every_way_to_give_an_option(pytester, plugins):
    result = pytester.runpytest_inprocess("--help")
    text = " ".join(" ".join(result.outlines).split())
    for way in ("--datastore=", "TROVE_SCENARIO_DATASTORE", "trove_datastore", "OS_CLOUD"):
        assert way in text


def test_the_header_names_the_cloud(collect, monkeypatch):
    monkeypatch.setenv("OS_CLOUD", "theirs")
    collect("-v").stdout.fnmatch_lines(["trove: cloud theirs;*"])


def test_unknown_marks_are_errors(pytester, plugins):
    pytester.makepyfile("import pytest\n@pytest.mark.oracel\ndef test_it(): pass")
    result = pytester.runpytest_inprocess("--collect-only")
    result.stdout.fnmatch_lines(["*'oracel' not found in `markers` configuration option*"])


def test_a_test_may_name_its_targets(pytester, plugins):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("target", ["mysql"], indirect=True)
        def test_it(datastore, distro, volume_size):
            assert (datastore.name, distro.release) == ("mysql", "trixie")
            assert volume_size is None

        @pytest.mark.parametrize("target", ["mysql"], indirect=True)
        @pytest.mark.parametrize("volume_size", [7], indirect=True)
        def test_volume(target, volume_size):
            assert volume_size == 7
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider", ".").assert_outcomes(passed=2)
