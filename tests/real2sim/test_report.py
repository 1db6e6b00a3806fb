"""The report: figures, plain words, and a page that loads nothing and runs nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.errors import MissingDependencyError
from pocketworlds.real2sim.report import CaptureInfo, SceneReport, StageRecord, build_report, data_uri, write_report
from pocketworlds.scenes import Scene, SceneObject, Surface, preview, save_scene
from pocketworlds.scenes.gl import ensure_gl
from pocketworlds.scenes.scene import Body, CollisionGeom, Estimate, Inertial, Joint, Part, Pose, Provenance
from pocketworlds.scenes.settle import FROZEN_NOTE

NASTY = "<script>alert('x')</script>\"&{{ 7*7 }}"


def estimate(value: float, spread: float = 1.5, source: str = "table") -> Estimate:
    return Estimate(value=value, low=value / spread, high=value * spread, source=source)


def body(x: float, spread: float = 1.5, source: str = "wood, 600 kg/m3") -> Body:
    return Body(
        pose=Pose(position=(x, 0, 0.05)),
        collision=(CollisionGeom(shape="box", size=(0.12, 0.08, 0.1)),),
        inertial=Inertial(mass=estimate(0.5, spread, source), com=(0, 0, 0), inertia=(1e-3, 1e-3, 1e-3, 0, 0, 0)),
        friction=estimate(0.4),
    )


def item(name: str, x: float, seen: Provenance | None, **update: object) -> SceneObject:
    made = SceneObject(
        name=name,
        category="box",
        mobility="free",
        size=(0.12, 0.08, 0.1),
        support="floor",
        body=body(x),
        provenance=seen,
    )
    return made.model_copy(update=update)


def provenance(**values: object) -> Provenance:
    return Provenance.model_validate({"completion": "box", "observed_fraction": 0.7, "fit_error": 0.002} | values)


@pytest.fixture
def scene() -> Scene:
    drawer = Part(name="drawer", joint=Joint(kind="slide", axis=(1, 0, 0), range=(0, 0.3)), body=body(0))
    return Scene(
        name="kitchen",
        surfaces=(
            Surface(
                name="floor", kind="floor", pose=Pose(position=(0, 0, -0.05)), size=(4, 4, 0.1), friction=estimate(1)
            ),
            Surface(
                name="wall_1",
                kind="wall",
                pose=Pose(position=(0, 2, 1.25), quaternion=(0.5**0.5, 0.5**0.5, 0, 0)),
                size=(4, 2.5, 0.1),
                exported_size=(4, 2.5, 0),
                friction=estimate(1),
            ),
        ),
        objects=(
            item("good_box", 0.0, provenance(settle_drift=0.0011)),
            item("half_seen", 0.3, provenance(observed_fraction=0.3, fit_error=0.007, settle_drift=0.008)),
            item("guess", 0.6, provenance(observed_fraction=0.1, fit_error=0.02), body=body(0.6, 3.0, NASTY)),
            item(
                "frozen",
                0.9,
                provenance(notes=(f"Under gravity it fell over; {FROZEN_NOTE}.", NASTY)),
                mobility="fixed",
            ),
            item("desk", 1.2, None, mobility="fixed", category=NASTY, parts=(drawer,)),
        ),
        settled=True,
    )


@pytest.fixture
def capture() -> CaptureInfo:
    return CaptureInfo(
        path_name=NASTY,
        format="stray-scanner",
        frames_total=100,
        frames_used=30,
        skipped=(("frame 7", NASTY), *((f"frame {i}", "blurred") for i in range(69))),
        notes=(NASTY,),
    )


@pytest.fixture
def report(scene: Scene, capture: CaptureInfo) -> SceneReport:
    stages = [
        StageRecord(name="fusion", seconds=75.0, peak_memory_mb=1500, summary={"voxel mm": 4.0, "vertices": 12345}),
        StageRecord(name=NASTY, seconds=0.25, cached=True, summary={NASTY: NASTY}),
    ]
    return build_report(scene, capture, stages)


class Page(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_figures_are_those_of_the_scene(report: SceneReport) -> None:
    box = report.objects[0]
    assert (box.number, box.name, box.footprint, box.height) == (1, "good_box", (0.12, 0.08), 0.1)
    assert box.mass.value == 0.5
    assert box.mass.source == "wood, 600 kg/m3"
    assert box.settle_drift == 0.0011
    assert report.objects[4].parts == ("drawer (slides)",)
    assert report.objects[4].observed_fraction is None
    assert report.seconds == 75.25
    assert report.peak_memory_mb == 1500
    wall = report.structure[1]
    assert wall.size == (4, 2.5, 0)
    assert wall.top == pytest.approx(2.5)
    assert report.structure[0].top == pytest.approx(0.0)
    assert report.versions["mujoco"]


def test_grades_and_notes_follow_what_was_seen(report: SceneReport) -> None:
    assert [entry.trust for entry in report.objects] == ["good", "fair", "poor", "fair", "good"]
    notes = {entry.name: " ".join(entry.notes) for entry in report.objects}
    assert "70% of its surface was seen" in notes["good_box"]
    assert "completed (box)" in notes["half_seen"]
    assert "misses the scanned points by 7 mm" in notes["half_seen"]
    assert "moved by 8 mm" in notes["half_seen"]
    assert "hidden sides are a guess" in notes["guess"]
    assert "mass is a guess: anything from 0.17 to 1.5 kg" in notes["guess"]
    assert FROZEN_NOTE in notes["frozen"]


def test_verdict_says_what_to_trust_and_what_not(report: SceneReport, scene: Scene, capture: CaptureInfo) -> None:
    trust, caution = " ".join(report.trust), " ".join(report.caution)
    assert "metric" in trust
    assert "settling moved none by more than 8.0 mm" in trust
    assert "20.0 mm" in caution
    assert "mostly a guess: guess" in caution
    assert "Fixed in place, because they would not stand by themselves: frozen" in caution
    assert "factor of 3.0" in caution
    assert "70 of 100 frames were not used" in caution
    assert NASTY in report.caution
    assert report.summary.startswith(
        "3 objects that can be moved, 2 fixed objects and 1 part that opens; 1 floor and 1 wall"
    )
    blind = capture.model_copy(update={"is_metric": False, "has_gravity": False})
    other = build_report(scene.model_copy(update={"settled": False}), blind, [])
    assert "no scale of its own" in " ".join(other.caution)
    assert "did not record gravity" in " ".join(other.caution)
    assert "not settled" in " ".join(other.caution)


def test_json_round_trip(report: SceneReport, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert SceneReport.model_validate_json(text) == report
    assert json.loads(text)["objects"][0]["footprint"] == [0.12, 0.08]


def test_page_runs_nothing_loads_nothing_and_escapes_everything(report: SceneReport, tmp_path: Path) -> None:
    text = write_report(report, tmp_path).read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert "<script" not in text
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert page.text.count(NASTY) >= 6
    assert "1 min 15 s" in page.text
    assert "(reused)" in page.text
    assert "and 20 more" in page.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_page_has_pictures_and_numbered_footprints(report: SceneReport, scene: Scene, tmp_path: Path) -> None:
    try:
        ensure_gl()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    save_scene(scene, tmp_path)
    photo = np.full((900, 1200, 3), 90, dtype=np.uint8)
    text = write_report(report, tmp_path, photo=photo).read_text()
    page = Page(text)
    assert page.tags.count("img") == 2 + len(scene.objects)
    assert page.tags.count("polygon") == 2 * len(scene.objects)
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert re.search(r">\s*5\s*</text>", text)
    assert len(text) < 1_000_000


def test_machine_without_opengl_still_gets_a_page(
    report: SceneReport, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MissingDependencyError("no OpenGL here; install libegl1")

    monkeypatch.setattr(preview, "ensure_gl", refuse)
    text = write_report(report, tmp_path, scene=scene).read_text()
    assert "No pictures: no OpenGL here; install libegl1" in text
    assert "good_box" in text


def test_empty_scene_has_a_report(tmp_path: Path) -> None:
    empty = Scene(name="empty", surfaces=())
    info = CaptureInfo(path_name="x", format="photo", frames_total=0, frames_used=0)
    text = write_report(build_report(empty, info, []), tmp_path).read_text()
    assert "0 objects that can be moved; no structure. Rebuilt from photo." in text


def test_photo_is_scaled_down() -> None:
    assert len(data_uri(np.zeros((3000, 4000, 3), dtype=np.uint8), largest=200)) < 4000
