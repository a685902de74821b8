"""Windows cover a track, join back into it, and agree where they overlap."""

import pytest
import torch

from longdance.choreography.long.windows import Stitcher, WindowPlan
from longdance.diffusion.noise import NoiseSchedule
from longdance.diffusion.sampler import STEP_RULES, sample
from longdance.motion.layout import LAYOUTS, Normaliser

LAYOUT = LAYOUTS["smpl24"]
PLANS = [(1, 12, 0), (1, 12, 4), (2, 12, 4), (5, 12, 4), (4, 10, 5), (3, 11, 5), (3, 12, 1), (6, 7, 0)]
plans = pytest.mark.parametrize("plan", [WindowPlan(*sizes) for sizes in PLANS], ids=str)


@pytest.fixture
def normaliser(generator) -> Normaliser:
    return Normaliser(
        torch.randn(151, generator=generator).double(), (torch.rand(151, generator=generator) + 0.5).double()
    )


def walk(frames: int, generator) -> torch.Tensor:
    """(frames, 151) features of a random walk over many metres, with rotations near rest."""
    features = 0.2 * torch.randn(frames, 151, generator=generator, dtype=torch.float64)
    features[:, LAYOUT["rotations"]] += torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    features[:, LAYOUT["root_position"]] = torch.randn(frames, 3, generator=generator).double().cumsum(0)
    features[0, LAYOUT["root_position"]] = torch.tensor([0.0, 1.0, 0.0]).double()
    return features


def centred(windows: torch.Tensor) -> torch.Tensor:
    """Every window as the network sees it: above its own origin."""
    windows = windows.clone()
    for column in (4, 6):
        windows[..., column] -= windows[:, :1, column].clone()
    return windows


@pytest.mark.parametrize("overlap", [0, 1, 4, 6])
@pytest.mark.parametrize("frames", [1, 2, 11, 12, 13, 20, 21, 100])
def test_plans_cover_a_dance_with_the_fewest_windows(frames, overlap):
    plan = WindowPlan.cover(frames, window=12, overlap=overlap)
    assert plan.frames >= frames
    if frames <= 12:
        assert (plan.count, plan.window, plan.frames) == (1, frames, frames)
    else:
        assert (plan.window, plan.overlap) == (12, overlap)
        assert WindowPlan(plan.count - 1, 12, overlap).frames < frames


@pytest.mark.parametrize("sizes", [(0, 12, 4), (2, 12, 7), (2, 12, -1), (2, 11, 6)])
def test_impossible_plans_are_refused(sizes):
    with pytest.raises(ValueError, match="overlap"):
        WindowPlan(*sizes)


@plans
def test_weights_sum_to_one_at_every_frame(plan):
    total = torch.zeros(plan.frames)
    for k in range(plan.count):
        total[k * plan.hop : k * plan.hop + plan.window] += plan.weights[k]
    torch.testing.assert_close(total, torch.ones(plan.frames))
    assert (plan.weights > 0).all()


@plans
def test_shared_frames_are_those_in_two_windows(plan):
    times = torch.zeros(plan.frames)
    for k in range(plan.count):
        times[k * plan.hop : k * plan.hop + plan.window] += 1
    assert times.max() <= 2
    expected = (plan.cut(times[:, None]) == 2).float()
    assert torch.equal(plan.shared, expected)


@plans
def test_windows_cut_from_a_walk_join_into_the_same_walk(plan, normaliser, generator):
    if plan.count > 1 and plan.overlap == 0:
        pytest.skip("without an overlap nothing tells where a window belongs")
    track = walk(plan.frames, generator)
    windows = normaliser.normalise(centred(plan.cut(track)))
    stitcher = Stitcher(plan, LAYOUT, normaliser)
    joined, offsets = stitcher.join(windows)
    torch.testing.assert_close(joined, track, atol=2e-6, rtol=0)
    starts = track[[k * plan.hop for k in range(plan.count)]][:, [4, 6]]
    torch.testing.assert_close(offsets, starts - starts[:1], atol=2e-6, rtol=0)
    assert stitcher.gap(windows) < 1e-5


def test_a_long_walk_joins_in_single_precision(generator):
    plan = WindowPlan(60, 12, 4)
    track = walk(plan.frames, generator).float()
    normaliser = Normaliser(torch.zeros(151), torch.ones(151))
    joined, _ = Stitcher(plan, LAYOUT, normaliser).join(centred(plan.cut(track)))
    torch.testing.assert_close(joined, track, atol=1e-3, rtol=0)


def disagreeing(plan, generator) -> torch.Tensor:
    return walk(plan.count * plan.window, generator).reshape(plan.count, plan.window, 151)


@plans
def test_agreeing_twice_is_agreeing_once(plan, normaliser, generator):
    stitcher = Stitcher(plan, LAYOUT, normaliser)
    once = stitcher.agree(normaliser.normalise(disagreeing(plan, generator)))
    torch.testing.assert_close(stitcher.agree(once), once, atol=2e-6, rtol=0)


@plans
def test_agreed_windows_have_no_gap(plan, normaliser, generator):
    stitcher = Stitcher(plan, LAYOUT, normaliser)
    windows = normaliser.normalise(disagreeing(plan, generator))
    if plan.count > 1 and plan.overlap:
        assert stitcher.gap(windows) > 0.1
    assert stitcher.gap(stitcher.agree(windows)) < 1e-5


@plans
def test_agreeing_changes_shared_frames_alone_and_keeps_the_joined_track(plan, normaliser, generator):
    stitcher = Stitcher(plan, LAYOUT, normaliser)
    windows = normaliser.normalise(disagreeing(plan, generator))
    agreed = stitcher.agree(windows)
    alone = plan.shared[..., 0] == 0
    torch.testing.assert_close(agreed[alone], windows[alone], atol=2e-6, rtol=0)
    torch.testing.assert_close(stitcher.join(agreed)[0], stitcher.join(windows)[0], atol=2e-6, rtol=0)


def test_blending_is_a_convex_mean_that_moves_from_one_window_to_the_next():
    plan, plain = WindowPlan(2, 8, 3), Normaliser(torch.zeros(151), torch.ones(151))
    windows = torch.zeros(2, 8, 151)
    windows[1, :, 20] = 4.0
    track, _ = Stitcher(plan, LAYOUT, plain).join(windows)
    torch.testing.assert_close(track[:, 20], torch.tensor([0.0] * 5 + [1, 2, 3] + [4.0] * 5))


def test_neighbours_are_joined_where_their_paths_agree_on_average():
    plan, plain = WindowPlan(2, 8, 4), Normaliser(torch.zeros(151), torch.ones(151))
    windows = torch.zeros(2, 8, 151)
    windows[0, :, 4] = torch.arange(8.0)  # along x: 4, 5, 6, 7 in the overlap
    windows[1, :, 4] = 2 * torch.arange(8.0)  # 0, 2, 4, 6
    windows[0, :, 5], windows[1, :, 5] = 1.0, 2.0  # heights are absolute and are not aligned
    offsets = Stitcher(plan, LAYOUT, plain).offsets(windows)
    torch.testing.assert_close(offsets, torch.tensor([[0.0, 0.0], [2.5, 0.0]]))


def test_the_gap_is_the_farthest_joint(generator):
    plan, plain = WindowPlan(2, 8, 4), Normaliser(torch.zeros(151), torch.ones(151))
    windows = torch.zeros(2, 8, 151)
    windows[..., LAYOUT["rotations"]] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    windows[1, 2, 5] = 0.07  # one shared frame is 7 cm higher in one of the windows
    assert Stitcher(plan, LAYOUT, plain).gap(windows) == pytest.approx(0.07, rel=1e-4)


@pytest.mark.parametrize("rule", STEP_RULES.values(), ids=STEP_RULES.keys())
def test_sampling_under_the_constraint_ends_in_one_motion(rule, generator):
    plan = WindowPlan(4, 12, 4)
    normaliser = Normaliser(torch.zeros(151), torch.ones(151))
    stitcher = Stitcher(plan, LAYOUT, normaliser)
    targets = disagreeing(plan, generator).float()
    schedule = NoiseSchedule.cosine(100)
    found = sample(
        lambda noisy, step: 0.9 * targets + 0.1 * noisy,
        plan.cut(torch.randn(plan.frames, 151, generator=generator)),
        schedule=schedule,
        rule=rule(),
        steps=8,
        generator=generator,
        constraints=[stitcher.constraint()],
    )
    assert stitcher.gap(found) < 1e-3
    track, offsets = stitcher.join(found)
    again = plan.cut(track)
    again[..., [4, 6]] -= offsets[:, None]
    torch.testing.assert_close(found, again, atol=1e-3, rtol=0)


def test_windows_are_left_as_they_were(generator):
    plan, plain = WindowPlan(3, 12, 4), Normaliser(torch.zeros(151).double(), torch.ones(151).double())
    windows = disagreeing(plan, generator)
    before = windows.clone()
    stitcher = Stitcher(plan, LAYOUT, plain)
    stitcher.join(windows), stitcher.agree(windows), stitcher.gap(windows)
    assert torch.equal(windows, before)
