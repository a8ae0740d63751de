"""Guest images as files: written whole, read back, and what is said of files that are none."""

import functools
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trove.tests.common.errors import ScenarioError
from trove.tests.harness import image_files
from trove.tests.harness.images import GuestImage

QCOW2 = b"QFI\xfb" + bytes(100)


@pytest.fixture
def image(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    for name, text in (("disk.qcow2", QCOW2), ("kernel", b"k"), ("ramdisk", b"r")):
        (folder / name).write_bytes(text)
    return GuestImage(
        key="0123456789",
        name="mysql-9.7-debian-trixie",
        disk=folder / "disk.qcow2",
        disk_format="qcow2",
        kernel=folder / "kernel",
        ramdisk=folder / "ramdisk",
        kernel_command_line="root=/dev/vda quiet",
        manifest={"series": "2026.2"},
    )


def test_what_is_written_can_be_read(image, tmp_path):
    written = image_files.write(image, tmp_path / "out.qcow2", "qcow2")
    assert written == image_files.read(tmp_path / "out.qcow2")
    assert written.disk.read_bytes() == QCOW2
    assert written.kernel == tmp_path / "out.vmlinuz"
    assert written.ramdisk.read_bytes() == b"r"
    assert (written.key, written.manifest) == (image.key, image.manifest)


def test_a_self_booting_image_has_nothing_beside_but_its_manifest(image, tmp_path):
    bootable = image_files.replace(image, kernel=None, ramdisk=None, kernel_command_line="")
    image_files.write(bootable, tmp_path / "out.qcow2", "qcow2")
    names = sorted(file.name for file in tmp_path.iterdir() if file.is_file())
    assert names == ["out.manifest.json", "out.qcow2"]
    assert image_files.read(tmp_path / "out.qcow2").kernel is None


@pytest.mark.parametrize("suffix", ["", ".img"])
def test_images_of_two_versions_are_beside_each_other(image, tmp_path, suffix):
    for version in ("11.4", "11.8"):
        one = image_files.replace(image, manifest={"datastore_version": version})
        image_files.write(one, tmp_path / f"mariadb-{version}{suffix}", "qcow2")
    for version in ("11.4", "11.8"):
        found = image_files.read(tmp_path / f"mariadb-{version}{suffix}")
        assert found.manifest == {"datastore_version": version}
        assert found.kernel.name == f"mariadb-{version}{suffix}.vmlinuz"


def test_two_formats_of_one_name_are_not_written(image, tmp_path):
    image_files.write(image, tmp_path / "pg.qcow2", "qcow2")
    sentence = r"^pg\.raw would have the same pg\.manifest\.json as \S+/pg\.qcow2, which is there"
    with pytest.raises(ScenarioError, match=sentence):
        image_files.check_output(tmp_path / "pg.raw", "raw")
    image_files.check_output(tmp_path / "pg.qcow2", "qcow2")


def test_nothing_half_made_is_left(image, tmp_path):
    image.kernel.unlink()
    with pytest.raises(ScenarioError, match=r"out\.qcow2 can't be written: No such file"):
        image_files.write(image, tmp_path / "out.qcow2", "qcow2")
    assert [file for file in tmp_path.iterdir() if file.is_file()] == []


@pytest.mark.parametrize(
    ("output", "disk_format", "sentence"),
    [
        ("absent/out.qcow2", "qcow2", r"There is no folder .*absent to write out\.qcow2 to"),
        (".", "qcow2", r" is a folder: name a file in it\.$"),
        ("out.raw", "qcow2", r"out\.raw would be of format qcow2: name it \*\.qcow2, or"),
    ],
)
def test_a_wrong_output_is_told_before_anything_is_built(tmp_path, output, disk_format, sentence):
    with pytest.raises(ScenarioError, match=sentence):
        image_files.check_output(tmp_path / output, disk_format)


def test_a_relative_folder_is_no_output_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError, match=r"^\. is a folder: name a file in it\.$"):
        image_files.check_output(Path(), "qcow2")


def test_an_output_that_may_not_be_written_is_told_before_anything_is_built(tmp_path, monkeypatch):
    # Root, who builds images, may write anywhere but to a file system that is read-only.
    monkeypatch.setattr(image_files.os, "access", lambda *_: False)
    sentence = rf"^The folder {tmp_path} can't be written to: name a file in another one\.$"
    with pytest.raises(ScenarioError, match=sentence):
        image_files.check_output(tmp_path / "out.qcow2", "qcow2")


def test_a_missing_kernel_is_named(image, tmp_path):
    image_files.write(image, tmp_path / "out.qcow2", "qcow2")
    (tmp_path / "out.vmlinuz").unlink()
    with pytest.raises(ScenarioError, match=r"needs out\.vmlinuz beside it to boot"):
        image_files.read(tmp_path / "out.qcow2")


def test_of_a_foreign_image_only_the_content_is_known(tmp_path):
    disk = tmp_path / "foreign.img"
    disk.write_bytes(QCOW2)
    image = image_files.read(disk)
    assert (image.disk_format, image.manifest, image.name) == ("qcow2", {}, "foreign")
    disk.write_bytes(QCOW2 + b"x")
    assert image_files.read(disk).key != image.key


@pytest.mark.parametrize(
    ("place", "mark", "found"),
    [(510, b"\x55\xaa", "raw"), (0x438, b"\x53\xef", "raw"), (0, b"QFI\xfb", "qcow2")],
)
def test_formats_are_told_by_content(tmp_path, place, mark, found):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(place) + mark + bytes(2000))
    assert image_files.read(disk).disk_format == found


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(
        ScenarioError, match=r"notes\.txt is no disk image: neither qcow2 nor a raw"
    ):
        image_files.read(tmp_path / "notes.txt")
    with pytest.raises(ScenarioError, match="can't be read: No such file"):
        image_files.read(tmp_path / "absent")


def test_a_manifest_that_is_none(tmp_path):
    (tmp_path / "a.qcow2").write_bytes(QCOW2)
    (tmp_path / "a.manifest.json").write_text("[]")
    with pytest.raises(ScenarioError, match=r"a\.manifest\.json is no manifest of a guest image"):
        image_files.read(tmp_path / "a.qcow2")


class TestDownload:
    @pytest.fixture
    def served(self, tmp_path):
        """A folder that a web server shows."""
        folder = tmp_path / "served"
        folder.mkdir()
        return folder

    @pytest.fixture
    def url(self, served):
        """Where the web server shows that folder."""
        handler = functools.partial(SimpleHTTPRequestHandler, directory=served)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
            threading.Thread(target=http.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{http.server_port}"
            http.shutdown()

    def test_brings_all_that_belongs_to_an_image(self, image, served, url):
        image_files.write(image, served / "mine.qcow2", "qcow2")
        fetched = image_files.read(image_files.download(f"{url}/mine.qcow2"))
        assert (fetched.key, fetched.manifest) == (image.key, image.manifest)
        assert fetched.disk.read_bytes() == QCOW2
        assert fetched.kernel.read_bytes() == b"k"

    def test_of_a_foreign_image_there_is_only_the_disk(self, served, url):
        (served / "foreign.qcow2").write_bytes(QCOW2)
        disk = image_files.download(f"{url}/foreign.qcow2")
        assert [file.name for file in disk.parent.iterdir()] == ["foreign.qcow2"]
        assert image_files.read(disk).manifest == {}

    def test_is_done_again_only_for_what_has_changed(self, served, url, capsys):
        file = served / "foreign.qcow2"
        file.write_bytes(QCOW2)
        image_files.download(f"{url}/foreign.qcow2")
        capsys.readouterr()
        image_files.download(f"{url}/foreign.qcow2")
        assert "download" not in capsys.readouterr().err
        file.write_bytes(QCOW2 + b"more")
        os.utime(file, (2e9, 2e9))
        assert image_files.download(f"{url}/foreign.qcow2").read_bytes() == QCOW2 + b"more"

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("page.qcow2", r"http://127\.0\.0\.1:\d+/page\.qcow2 is no disk image"),
            ("absent.qcow2", r"absent\.qcow2 can't be fetched: there is no such file"),
            ("", r"is no address of an image: http\(s\)://HOST/FOLDER/FILE"),
        ],
    )
    def test_of_what_is_no_image_leaves_nothing(self, served, url, tmp_path, name, sentence):
        (served / "page.qcow2").write_text("<html>moved</html>")
        with pytest.raises(ScenarioError, match=sentence):
            image_files.download(f"{url}/{name}?token=secret")
        assert [file for file in (tmp_path / "home").rglob("*") if file.is_file()] == []

    def test_says_why_nothing_comes(self):
        with pytest.raises(ScenarioError, match=r"127\.0\.0\.1:1/x can't be fetched: Connection"):
            image_files.download("http://user:secret@127.0.0.1:1/x")
