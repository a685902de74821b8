"""The FBX container: what is written is read back, and damaged files are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from longdance.errors import InputError
from longdance.export.fbx import continuous_euler
from longdance.export.fbx_nodes import (
    MAGIC,
    Node,
    PackedArray,
    array,
    double,
    encode,
    integer,
    long,
    node,
    read,
    save,
    text,
)


def tree() -> list[Node]:
    return [
        node("Head", integer(-7), long(2**40), double(0.25), text("name\x00\x01Class"), ("C", True), ("Y", -3)),
        node("Empty"),
        node(
            "Objects",
            children=[
                node("Curve", array("l", np.arange(1000)), array("f", np.linspace(0, 1, 7)), ("R", b"\x00\xff")),
                node("Nested", children=[node("Deeper", array("d", np.eye(4)))]),
            ],
        ),
    ]


def same(one: Node, two: Node) -> bool:
    def plain(value):
        value = value.values() if isinstance(value, PackedArray) else value
        return value.tolist() if isinstance(value, np.ndarray) else value

    return (
        one.name == two.name
        and [(code, plain(value)) for code, value in one.properties]
        == [(code, plain(value)) for code, value in two.properties]
        and len(one.children) == len(two.children)
        and all(map(same, one.children, two.children))
    )


def tried(work, *given):
    """What it returns, or the message of the ``InputError`` that it raises."""
    try:
        return work(*given)
    except InputError as refused:
        return str(refused)


def arrays_of(nodes: list[Node]) -> list[PackedArray]:
    own = [value for item in nodes for value in item.values() if isinstance(value, PackedArray)]
    return own + [packed for item in nodes for packed in arrays_of(item.children)]


def alike(one: Node, two: Node) -> bool:
    """``same`` to the bit, also where arrays cannot be unpacked."""
    return (
        one.name == two.name
        and repr(one.properties) == repr(two.properties)
        and len(one.children) == len(two.children)
        and all(map(alike, one.children, two.children))
    )


@pytest.mark.parametrize("version", [7400, 7500, 7700])
def test_a_tree_survives_the_round_trip(tmp_path, version):
    save(tree(), tmp_path / "a.fbx", version=version, footer_id=b"0123456789abcdef")
    file = read(tmp_path / "a.fbx")
    assert file.version == version
    assert file.footer_id == b"0123456789abcdef"
    assert all(map(same, file.roots, tree()))
    assert encode(file.roots, version=version, footer_id=file.footer_id) == (tmp_path / "a.fbx").read_bytes()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 700), st.integers(1, 255))
def test_a_changed_byte_is_refused_by_name_or_read_as_what_it_says(tmp_path_factory, place, change):
    content = bytearray(encode(tree()))
    content[place % len(content)] ^= change
    path = tmp_path_factory.mktemp("fbx") / "changed.fbx"
    path.write_bytes(bytes(content))
    file = tried(read, path)
    if isinstance(file, str):
        assert "changed.fbx" in file
        return
    again = path.with_name("again.fbx")
    again.write_bytes(encode(file.roots, version=file.version, footer_id=file.footer_id))
    assert all(map(alike, file.roots, read(again).roots))
    for packed in arrays_of(file.roots):
        values = tried(packed.values)
        assert "array" in values if isinstance(values, str) else values.shape == (packed.count,)


@pytest.mark.parametrize("cut", [5, 27, 60, 200, 500])
def test_a_cut_file_is_refused_by_name(tmp_path, cut):
    path = tmp_path / "cut.fbx"
    path.write_bytes(encode(tree())[:cut])
    with pytest.raises(InputError, match=r"cut\.fbx"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"; FBX 7.4.0 project file\n", b"PK\x03\x04", MAGIC, MAGIC + b"\xff" * 40])
def test_what_is_no_binary_fbx_is_refused(tmp_path, content):
    (tmp_path / "a.fbx").write_bytes(content)
    with pytest.raises(InputError):
        read(tmp_path / "a.fbx")


def test_nodes_nested_without_end_are_refused(tmp_path):
    deep = node("A", integer(1))
    for _ in range(200):
        deep = node("A", children=[deep])
    save([deep], tmp_path / "deep.fbx")
    with pytest.raises(InputError):
        read(tmp_path / "deep.fbx")


def test_an_array_that_unpacks_to_more_than_it_says_is_refused():
    import zlib

    bomb = PackedArray("d", 4, 1, zlib.compress(bytes(10_000_000)))
    with pytest.raises(InputError):
        bomb.values()


def test_angles_go_on_smoothly_through_whole_turns(rng):
    turns = np.cumsum(rng.normal(size=(400, 3)) * 0.02 + [0.05, 0.01, 0.03], 0)
    matrices = Rotation.from_rotvec(turns[:, [0]] * [0, 0, 1]).as_matrix() @ Rotation.from_euler("x", 0.3).as_matrix()
    angles = continuous_euler(matrices[:, None], "ZYX")[:, 0]
    assert np.abs(np.diff(angles, axis=0)).max() < 0.3
    np.testing.assert_allclose(Rotation.from_euler("ZYX", angles).as_matrix(), matrices, atol=1e-12)
    assert angles[-1, 0] > np.pi  # more than half a turn, unwrapped
