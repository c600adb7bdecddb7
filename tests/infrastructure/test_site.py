"""Laying out the sources of the book, and noticing a page that would fetch something from the network."""

from __future__ import annotations

import json

import pytest

from tools import check_offline, pages
from tools.project import ROOT, write_atomically
from tools.stage import contents, stage


def test_staging_leaves_what_is_right_untouched_and_removes_the_rest(tmp_path):
    stage({"a.md": b"1", "deep/b.md": b"2", "old/c.md": b"3"}, tmp_path)
    before = (tmp_path / "a.md").stat().st_mtime_ns
    stage({"a.md": b"1", "deep/b.md": b"changed"}, tmp_path)
    stage({"a.md": b"1", "deep/b.md": b"changed"}, tmp_path)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert (tmp_path / "deep" / "b.md").read_bytes() == b"changed"
    assert not (tmp_path / "old").exists()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.md"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, None)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_source_tree_has_prose_chapters_and_generated_pages():
    tree = contents(ROOT / "notebooks")
    assert {"_config.yml", "_toc.yml", "book/intro.md", "generated/results.md", "generated/api.md"} <= set(tree)
    assert all(f"notebooks/{path.name}" in tree for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def test_the_results_page_shows_every_study_and_every_leak():
    page = pages.results()
    for path in (ROOT / "results").glob("*/study.json"):
        assert f"## {json.loads(path.read_text())['title']}\n" in page
    for path in (ROOT / "results" / "leaks").glob("*.json"):
        leak = json.loads(path.read_text())
        assert f"| {leak['title']} |" in page
        assert f"| {leak['exact_copies']:,} |" in page


def test_every_claim_is_on_its_page():
    from medxai_helpers.papers import PAPERS, load_paper

    page = pages.claims()
    assert all(claim.claim in page for key in PAPERS for claim in load_paper(key).claims)


def test_every_measurement_has_its_table():
    files = list((ROOT / "results" / "benchmarks").glob("*.json"))
    page = pages.benchmarks()
    assert {"pixel_store", "scan_folder", "near_duplicates"} <= {path.stem for path in files}
    for path in files:
        content = json.loads(path.read_text())
        assert f"## {content['title']}\n" in page
        assert (ROOT / "benchmarks" / f"{content['benchmark']}.py").is_file()
        assert set(content["hardware"]) >= {"processor", "cores", "accelerator", "torch"}


def test_every_module_of_the_package_is_in_the_reference():
    text = pages.api()
    package = ROOT / "medxai_helpers"
    rooms = [path.stem for path in package.glob("[!_]*.py")] + [
        path.parent.name for path in package.glob("*/__init__.py")
    ]
    assert {"runtime", "models"} <= set(rooms)
    assert all(f".. automodule:: medxai_helpers.{room}\n" in text for room in rooms)


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<img alt="" src="http://example/a.png">',
        '<iframe src="https://example/video"></iframe>',
        '<source srcset="a.png, https://example/b.png 2x">',
        "<style>@import 'https://example/a.css';</style>",
        '<p style="background: url(https://example/a.png)">',
        '<script>load("https://cdn.example/lib/index.js")</script>',
    ],
)
def test_a_request_to_the_network_is_found(page):
    assert len(check_offline.requests_of_page(page)) == 1


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://example/">a link to click</a>',
        '<script src="_static/a.js"></script><img src="a.png"><link rel="stylesheet" href="a.css">',
        '<link rel="canonical" href="https://example/page.html">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#a"></use></svg>',
        '<img src="data:image/png;base64,iVBORw0KGgo=">',
    ],
)
def test_what_a_reader_may_click_is_fine(page):
    assert check_offline.requests_of_page(page) == []


def test_a_site_without_pages_is_no_success(tmp_path):
    assert check_offline.main([str(tmp_path)]) == 1
    (tmp_path / "index.html").write_text("<p>Hello</p>")
    assert check_offline.main([str(tmp_path)]) == 0
    (tmp_path / "style.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")
    assert check_offline.main([str(tmp_path)]) == 1


def test_the_page_of_architectures_has_a_card_for_each():
    from medxai_helpers.models import MODELS

    text = pages.models()
    assert all(f"## {spec.title}\n" in text and f"`{spec.cam_layer}`" in text for spec in MODELS.values())
    assert "| `resnet18` | 11.69 | 1,814 | 224 |" in text
