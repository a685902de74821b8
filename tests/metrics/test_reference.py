"""Every value that the published code gave for six synthetic dances, where that table is at hand."""

import json

import numpy as np
import pytest

from longdance import metrics

VARIANTS = {"aistpp": "", "bailando": "bailando_", "lodge": "lodge_", "popdg": "popdg_"}
REAL, GENERATED = (3, 4, 5), (0, 1, 2)
FEATURES = {"kinetic": metrics.kinetic_features, "manual": metrics.geometric_features}
FRECHET = {"rel": 1e-4, "abs": 1e-3}
DIVERSITY = {"rel": 5e-6}  # the originals sum in float32


@pytest.fixture(scope="module")
def table(shared_data):
    folder = shared_data.parent / "metrics"
    if not (folder / "expected.json").is_file():
        pytest.skip(f"reference values not found at {folder}")
    with np.load(folder / "motions.npz") as arrays:
        return json.loads((folder / "expected.json").read_text()), dict(arrays)


@pytest.fixture(scope="module", params=[60, 30])
def rate(request, table):
    """Frame rate, its part of the table, the six dances and their music's beats."""
    expected, arrays = table
    fps = request.param
    dances = [arrays[f"joints_{fps}fps_{i}"].astype(np.float64) for i in range(6)]
    return fps, expected[f"{fps}fps"], dances, [arrays[f"beat_times_{i}"] for i in range(6)]


def rows(dances, fps, kind, variant):
    return np.stack([FEATURES[kind](joints, fps, variant=variant) for joints in dances])


def real_part(value):
    return value["real"] if isinstance(value, dict) else value


def windows(dances, fps):
    length = round(2.5 * fps)
    return [joints[i : i + length] for joints in dances for i in range(0, len(joints), length)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_features(rate, variant):
    fps, expected, dances, _ = rate
    for joints, values in zip(dances, expected["motions"], strict=True):
        kinetic = metrics.kinetic_features(joints, fps, variant=variant)
        np.testing.assert_allclose(kinetic, values[VARIANTS[variant] + "kinetic"], rtol=1e-6)
        geometric = metrics.geometric_features(joints, fps, variant=variant)
        np.testing.assert_array_equal(geometric, np.float32(values[VARIANTS[variant] + "manual"]))


def test_first_release_features(rate):
    fps, expected, dances, _ = rate
    for joints, values in zip(dances, expected["motions"], strict=True):
        geometric = metrics.geometric_features(joints, fps, variant="fact")
        np.testing.assert_array_equal(geometric, np.float32(values["manual_old_bailando"]))


def test_shifted_dance(table):
    expected, arrays = table
    joints = arrays["joints_60fps_0"].astype(np.float64) + np.array([1.0, 0.0, 0.0])
    shifted = expected["kinetic_motion0_60fps_shifted_1m_in_x"]
    np.testing.assert_allclose(metrics.kinetic_features(joints, 60), shifted, rtol=1e-6)


def test_float32_joints_give_the_same_features(table):
    expected, arrays = table
    joints = arrays["joints_60fps_0"]
    assert joints.dtype == np.float32
    values = expected["60fps"]["motions"][0]
    np.testing.assert_allclose(metrics.kinetic_features(joints, 60), values["kinetic"], rtol=1e-6)


def test_beats(rate):
    fps, expected, dances, beat_times = rate
    for variant in ("bailando", "lodge", "mint", "popdg"):
        scores = []
        for joints, times, values in zip(dances, beat_times, expected["motions"], strict=True):
            beats = values["beats"]
            scores.append(metrics.beat_alignment(joints, times, fps, variant=variant))
            assert scores[-1] == pytest.approx(beats[f"bas_{variant}"], rel=1e-6)
            if f"{variant}_motion_frames" in beats:
                frames = metrics.motion_beats(joints, fps, variant=variant) * fps
                np.testing.assert_allclose(frames, beats[f"{variant}_motion_frames"])
        assert np.mean(scores) == pytest.approx(expected["sets"][f"bas_{variant}_mean"], rel=1e-6)


def test_contacts(rate):
    fps, expected, dances, _ = rate
    every = []
    for joints, values in zip(dances, expected["motions"], strict=True):
        foot, body = metrics.physical_foot_contact(joints, fps), metrics.physical_body_contact(joints, fps)
        feet = metrics.foot_skating_ratios(joints, fps)
        assert foot == pytest.approx(values["pfc_zup"], rel=1e-6)
        assert body == pytest.approx(values["pbc_zup"], rel=1e-6)
        assert feet == pytest.approx(tuple(values["fsr_left_right"]), rel=1e-6)
        # The trap of a wrong axis: the published code expects z up.
        unrotated = metrics.physical_foot_contact(joints[..., [1, 2, 0]], fps)
        assert unrotated == pytest.approx(values["pfc_yup_fed_unrotated"], rel=1e-6)
        every.append((foot, body, metrics.foot_skating_ratio(joints, fps), *feet))
    sets = expected["sets"]
    ratios = sets["fsr_all6"]
    means = (sets["pfc_all6"], sets["pbc_all6"], ratios["ratio"], ratios["left"], ratios["right"])
    assert tuple(np.mean(every, axis=0)) == pytest.approx(means, rel=1e-6)


@pytest.mark.parametrize("kind", FEATURES)
def test_sets_of_mint(rate, kind):
    fps, expected, dances, _ = rate
    sets = expected["sets"]
    features = rows(dances, fps, kind, "aistpp")
    real, generated = features[list(REAL)], features[list(GENERATED)]
    assert metrics.frechet_distance(real, generated) == pytest.approx(sets["mint"][kind], **FRECHET)
    assert metrics.frechet_distance(real, generated) == pytest.approx(
        sets["fid_by_eig_unofficial"][kind], **FRECHET
    )
    assert metrics.frechet_distance(generated, real) == pytest.approx(
        sets["mint_sets_swapped"][kind], **FRECHET
    )
    assert metrics.frechet_distance(real, real) == pytest.approx(sets["mint_same_set"][kind], **FRECHET)
    assert metrics.diversity(real) == pytest.approx(sets["div_unnormalised"][f"{kind}_real"], **DIVERSITY)
    assert metrics.diversity(generated) == pytest.approx(sets["div_unnormalised"][f"{kind}_gen"], **DIVERSITY)


@pytest.mark.parametrize("kind", FEATURES)
def test_sets_of_popdg(rate, kind):
    fps, expected, dances, _ = rate
    values = expected["sets"]["popdg"][kind]
    features = rows(dances, fps, kind, "popdg")
    real, generated = features[list(REAL)], features[list(GENERATED)]
    assert metrics.frechet_distance(real, generated) == pytest.approx(values["fid"], **FRECHET)
    assert metrics.diversity(generated, reference=real) == pytest.approx(values["div_gen"], **DIVERSITY)


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("variant", ["bailando", "lodge"])
def test_sets_of_bailando_and_lodge(rate, variant, kind):
    fps, expected, dances, _ = rate
    values, letter = expected["sets"][variant], kind[0]
    features = rows(dances, fps, kind, variant)
    check_set(features[list(REAL)], features[list(GENERATED)], values, letter)


@pytest.mark.parametrize("kind", FEATURES)
def test_sets_of_short_windows(rate, kind):
    fps, expected, dances, _ = rate
    sets = expected["sets"]
    real = rows(windows([dances[i] for i in REAL], fps), fps, kind, "aistpp")
    generated = rows(windows([dances[i] for i in GENERATED], fps), fps, kind, "aistpp")
    distance = metrics.frechet_distance(real, generated)
    if not isinstance(sets["mint_windows_2.5s"][kind], str):  # text where the original gave up
        assert distance == pytest.approx(sets["mint_windows_2.5s"][kind], **FRECHET)
    assert distance == pytest.approx(sets["windows_2.5s_by_eig_unofficial"][kind], **FRECHET)
    check_set(real, generated, sets["bailando_windows_2.5s_raw_joints"], kind[0])


def check_set(real, generated, values, letter):
    assert metrics.frechet_distance(real, generated) == pytest.approx(
        real_part(values[f"fid_{letter}"]), **FRECHET
    )
    spread = metrics.diversity(generated, reference=real), metrics.diversity(real, reference=real)
    assert spread == pytest.approx((values[f"div_{letter}"], values[f"div_{letter}_gt"]), **DIVERSITY)


@pytest.mark.parametrize("size", ["40", "120"])
def test_feature_tables(table, size):
    expected, arrays = table
    values = expected["feature_tables"][f"gen{size}"]
    for letter, mint_letter, kind in (("k", "k", "kinetic"), ("m", "g", "manual")):
        real, generated = arrays[f"feat_real_{kind}"], arrays[f"feat_gen{size}_{kind}"]
        distance = metrics.frechet_distance(real, generated)
        assert distance == pytest.approx(values["mint"][f"fid_{mint_letter}"], **FRECHET)
        assert distance == pytest.approx(values["popdg"][mint_letter]["fid"], **FRECHET)
        assert distance == pytest.approx(values["fid_by_eig_unofficial"][mint_letter], **FRECHET)
        spread = metrics.diversity(generated, reference=real)
        assert spread == pytest.approx(values["popdg"][mint_letter]["div_gen"], **DIVERSITY)
        check_set(real, generated, values["bailando"], letter)
        check_set(real[:, :66], generated[:, :66], values["lodge_first66_kinetic_columns"], letter)
