"""The pages in a real browser; skipped where there is none."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import viewer
from PIL import Image

from mmssm.structures import h36m
from mmssm.visualization.scene import LEFT, RIGHT
from mmssm.visualization.viewer import write_hand_page, write_lifting_page
from mmssm.visualization.viewer.comparison import frame_errors
from mmssm.visualization.viewer.palette import OTHER, rgb, track_color

NOTHING = '\N{EN DASH}'
REFERENCE = Path(__file__).with_name('walk_seen_from_the_start.png')


@pytest.fixture(scope='module')
def walk():
    return viewer.lifting([viewer.moving_person()])


@pytest.fixture
def opened(browser, tmp_path):
    """Writes a page, opens it, and wants nothing to have gone wrong at the end."""

    def opened(write, result, *args, **kwargs):
        path = tmp_path / 'page.html'
        write(path, result, *args, **kwargs)
        browser.open(path)
        return browser

    yield opened
    browser.settle()
    assert browser.problems == []


def frame_of(browser):
    return int(browser.text('#clock').split()[1])


def cells(browser, joint):
    """Texts of a row of the table."""
    row = json.dumps(f'tr[data-joint="{joint}"] td')
    return browser.run(
        f'[...document.querySelectorAll({row})].map((c) => c.textContent)'
    )


def shown(value, digits):
    """A number as the page writes it."""
    text = f'{value:.{digits}f}'
    return text.lstrip('-') if float(text) == 0 else text.replace('-', '\N{MINUS SIGN}')


def close_to(picture, color, tolerance=12):
    return np.abs(picture.astype(int) - np.array(color)).max(-1) <= tolerance


def test_it_plays_pauses_and_begins_anew(opened, walk):
    page = opened(write_lifting_page, walk)
    assert page.text('h1') == 'clip.mp4'
    assert page.text('#clock') == 'frame 0 of 12 · 0.00 s'
    page.press(' ')
    assert page.text('#play') == 'Pause'
    page.wait('document.getElementById("clock").textContent.startsWith("frame 5")')
    page.wait('document.getElementById("clock").textContent.startsWith("frame 1 ")')
    page.press(' ')
    stopped = page.text('#clock')
    time.sleep(0.1)
    assert page.text('#clock') == stopped
    assert page.text('#play') == 'Play'


def test_without_loop_it_stops_at_the_end(opened, walk):
    page = opened(write_lifting_page, walk)
    page.choose('#speed', '4')
    page.click('#loop')
    page.click('#play')
    page.wait('document.getElementById("play").textContent === "Play"')
    assert frame_of(page) == 11


def test_keys_step_and_change_the_speed(opened, walk):
    page = opened(write_lifting_page, walk)
    seen = []
    for key, shift in (
        ('ArrowRight', False),
        ('ArrowRight', True),
        ('ArrowLeft', False),
        ('End', False),
        ('Home', False),
    ):
        page.press(key, shift)
        seen.append(frame_of(page))
    assert seen == [1, 11, 10, 11, 0]
    page.press('+')
    assert page.run('document.getElementById("speed").value') == '2'
    page.press('-')
    page.press('-')
    assert page.run('document.getElementById("speed").value') == '0.5'
    page.press('t')
    assert page.run('document.documentElement.dataset.theme') == 'dark'


def test_the_read_out_has_the_numbers_of_the_frame(opened):
    person = viewer.moving_person()
    person.filled[4] = True
    person.filled_joints[6, 13] = True
    page = opened(write_lifting_page, viewer.lifting([person]))
    for frame, joint in ((0, 3), (4, 16), (6, 13)):
        page.choose('#scrub', str(frame))
        assert frame_of(page) == frame
        found = cells(page, h36m.JOINT_NAMES[joint])
        assert found[:2] == [shown(v, 1) for v in person.keypoints[frame, joint]]
        assert found[2] == shown(person.keypoint_scores[frame, joint], 2)
        assert found[3:6] == [shown(v, 3) for v in person.keypoints_3d[frame, joint]]
        assert found[6] == {0: '', 4: 'frame', 6: 'joint'}[frame]


def test_people_come_and_go(opened):
    late = viewer.moving_person(7, (3, 4, 8), 'dance_a', shift=60)
    page = opened(write_lifting_page, viewer.lifting([viewer.moving_person(), late]))
    names = page.run(
        '[...document.querySelectorAll("#chips button")].map((b) => b.textContent)'
    )
    assert names == ['person 1', 'person 7']
    page.click('#chips button:nth-child(2)')
    assert set(cells(page, 'head')) == {NOTHING}
    color = rgb(track_color(1))
    assert not close_to(page.picture('#flat'), color).any()
    page.choose('#scrub', '8')
    assert cells(page, 'head')[0] == shown(late.keypoints[2, 10, 0], 1)
    assert close_to(page.picture('#flat'), color).any()
    assert close_to(page.picture('#solid'), color).any()


def test_pictures_and_joints_are_of_the_same_frame(opened, walk):
    page = opened(write_lifting_page, walk, viewer.colored_video())
    for frame in (0, 7, 3, 11):
        page.choose('#scrub', str(frame))
        color = viewer.frame_color(frame)
        for _ in range(50):  # a picture is shown once it is decoded
            picture = page.picture('#flat')
            rows, columns = picture.shape[:2]
            if close_to(picture[rows // 2, columns // 5], color, 6):
                break
        else:
            raise AssertionError(f'frame {frame} is not of its colour')
        assert frame_of(page) == frame
    assert page.text('#flat-note') == ''


def test_missing_pictures_are_told(opened, walk):
    page = opened(write_lifting_page, walk, viewer.colored_video(5))
    page.choose('#scrub', '9')
    page.wait('document.getElementById("flat-note").textContent !== ""')
    assert page.text('#flat-note') == 'picture of frame 4'
    assert 'Pictures missing: 7' in page.text('#notes')


def test_a_click_on_a_joint_picks_its_row(opened, walk):
    page = opened(write_lifting_page, walk)
    left, top, width, height = page.place('#flat')
    scale = min((width - 20) / 320, (height - 20) / 240)
    x, y = (walk.persons[0].keypoints[0, 10] + 0.5).tolist()
    place = (
        left + (width - 320 * scale) / 2 + x * scale,
        top + (height - 240 * scale) / 2 + y * scale,
    )
    page.drag(place, place)
    picked = page.run('document.querySelector("tr.picked").dataset.joint')
    assert picked == 'head'


def test_the_view_turns_zooms_and_comes_back(opened, walk):
    page = opened(write_lifting_page, walk)
    first = page.picture('#solid')
    left, top, width, height = page.place('#solid')
    middle = (left + width / 2, top + height / 2)
    views = [first]

    def changed():
        page.settle()
        views.append(page.picture('#solid'))
        return not np.array_equal(views[-1], views[-2])

    page.drag(middle, (middle[0] + 70, middle[1] + 20))
    assert changed()
    page.mouse('mouseWheel', *middle, deltaX=0, deltaY=-240)
    assert changed()
    page.run('document.getElementById("solid").focus()')
    page.press('ArrowLeft')
    assert frame_of(page) == 0 and changed()
    page.click('[data-view=top]')
    assert changed()
    page.run('document.activeElement.blur()')
    page.press('r')
    assert changed()
    assert np.array_equal(views[-1], first)


def seen_by_the_camera(page, person):
    """Pixels of the joints of frame 0 in the 3D panel, from where the camera is."""
    page.click('[data-view=camera]')
    space = page.run('JSON.parse(document.getElementById("data").textContent).limits')
    low, high = np.array(space['low']), np.array(space['high'])
    (x, y, z), field = (high - low) / 2, np.tan(np.radians(17))
    across = np.hypot(x, z)
    _, _, width, height = page.place('#solid')
    edge = min(width, height)
    needed = edge * max(across / width, y / height)
    distance = 1.03 * needed / field + 0.5 * across
    points = person.keypoints_3d[0] - (low + high) / 2
    scale = edge / 2 / field / (points[:, 2:] + distance)
    return points[:, :2] * scale + [width / 2, height / 2]


def test_joints_are_drawn_where_a_camera_sees_them(opened, walk):
    page = opened(write_lifting_page, walk)
    pixels = seen_by_the_camera(page, walk.persons[0])
    picture = page.picture('#solid')
    for joint, color in ((2, RIGHT), (12, LEFT)):
        # between the joints, which have a colour of their own
        x, y = (pixels[joint] + pixels[h36m.PARENTS[joint]]) / 2
        around = picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4]
        assert close_to(around, rgb(color)).any(), joint


def test_a_drag_that_ends_on_a_joint_picks_nothing(opened, walk):
    page = opened(write_lifting_page, walk)
    head = seen_by_the_camera(page, walk.persons[0])[10] + page.place('#solid')[:2]
    left = {'button': 'left', 'buttons': 1, 'clickCount': 1}
    for kind, shift in (('Pressed', 0), ('Moved', 60), ('Moved', 0), ('Released', 0)):
        page.mouse(f'mouse{kind}', head[0] + shift, head[1], **left)
    page.settle()
    assert page.run('document.querySelector("tr.picked")') is None
    page.drag(tuple(head), tuple(head))
    assert page.run('document.querySelector("tr.picked").dataset.joint') == 'head'


def test_the_space_bar_presses_what_has_the_focus(opened, walk):
    page = opened(write_lifting_page, walk)
    page.run('document.getElementById("loop").focus()')
    page.press(' ')
    assert page.run('document.getElementById("loop").checked') is False
    assert page.text('#play') == 'Play'


def test_one_picture_has_nothing_to_play(opened):
    one = viewer.lifting([viewer.moving_person(1, [0])], num_frames=1, fps=None)
    page = opened(write_lifting_page, one)
    for name in ('play', 'scrub', 'timeline', 'speed'):
        assert page.run(f'document.getElementById("{name}").offsetParent') is None
    assert page.text('#clock') == 'frame 0 of 1'


def test_the_picture_is_that_of_the_reference(opened, walk):
    """Small and smoothed: letters may differ between machines, poses may not."""
    page = opened(write_lifting_page, walk)
    found = Image.fromarray(page.picture('#solid')).convert('L')
    reference = Image.open(REFERENCE).convert('L')
    assert abs(found.width / found.height - reference.width / reference.height) < 0.02
    both = [
        np.asarray(image.resize((48, 48), Image.Resampling.BOX), float)
        for image in (found, reference)
    ]
    assert np.abs(both[0] - both[1]).mean() < 1.5
    mirrored = np.abs(both[0][:, ::-1] - both[1]).mean()
    assert mirrored > 3  # so that the bound above means something


def test_two_results_are_compared(opened, walk):
    person = viewer.moving_person(frames=range(1, 11))
    person.keypoints_3d[:, 1:] += np.float32([0.03, 0.04, 0])
    other = viewer.lifting([person], model='ground truth')
    page = opened(write_lifting_page, walk, None, other)
    assert 'ground truth (grey)' in page.text('#subtitle')
    assert cells(page, 'head')[-1] == NOTHING  # the other begins a frame later
    page.press('ArrowRight')
    assert cells(page, 'head')[-1] == '50.0'
    assert cells(page, 'root')[-1] == '0.0'
    error = frame_errors(walk.persons[0], person, 0)[1]
    assert page.text('tfoot td') == shown(error, 1)
    assert f'{error:.1f} mm' in page.text('#notes')
    over = page.picture('#solid')
    page.choose('#choice-other', 'hidden')
    hidden = page.picture('#solid')
    page.choose('#choice-other', 'beside')
    assert not np.array_equal(over, hidden)
    assert not np.array_equal(hidden, page.picture('#solid'))
    left, top, width, height = page.place('#timeline')
    place = (left + width * 0.5, top + 0.5 * height)
    page.drag(place, place)
    assert frame_of(page) in (5, 6)


def test_whom_only_the_other_has_is_drawn_in_grey(opened, walk):
    more = viewer.moving_person(2, shift=60)
    other = viewer.lifting([*walk.persons, more], model='truth')
    page = opened(write_lifting_page, walk, None, other)
    page.click('#chips button:nth-child(2)')
    assert page.text('#chips button:nth-child(2)') == 'person 2, truth'
    assert cells(page, 'head')[0] == shown(more.keypoints[0, 10, 0], 1)
    assert cells(page, 'head')[-1] == NOTHING
    pictures = {panel: page.picture(panel) for panel in ('#flat', '#solid')}
    page.choose('#choice-other', 'hidden')
    for panel, shown_before in pictures.items():
        grey = [
            close_to(picture, rgb(OTHER)).sum()
            for picture in (shown_before, page.picture(panel))
        ]
        assert grey[0] > grey[1] + 50


HOSTILE = (
    '</title><script>window.hacked=1</script>"\'<img src=x onerror=hacked=2>&amp;'
    '\u2028\u2029\u202e\N{CJK UNIFIED IDEOGRAPH-624B}\N{WAVING HAND SIGN}${title}'
)


def test_hostile_names_are_only_text(opened):
    names = list(h36m.JOINT_NAMES)
    names[10] = '</script><script>window.hacked=3</script>"]'
    result = viewer.lifting(
        [viewer.moving_person()],
        joint_names=tuple(names),
        source='C:/' + HOSTILE.replace('/', '\\'),
        model='<!--<script>' + HOSTILE,
        frontend=HOSTILE,
        notes=(HOSTILE, '<!-- <script> ]]>'),
    )
    page = opened(write_lifting_page, result, title=HOSTILE)
    assert page.text('h1') == HOSTILE
    assert page.run('document.title') == HOSTILE
    assert page.text('#notes li') == HOSTILE
    assert HOSTILE in page.text('#subtitle')
    rows = page.run(
        '[...document.querySelectorAll("tbody tr")].map(r => r.dataset.joint)'
    )
    assert rows == names
    assert page.run('typeof window.hacked') == 'undefined'
    assert page.run('document.querySelectorAll("img").length') == 0


def test_a_script_of_another_cannot_run(browser, tmp_path, walk):
    """What the policy is for: even markup put into the file does nothing."""
    path = tmp_path / 'page.html'
    write_lifting_page(path, walk)
    spoilt = path.read_text().replace(
        '</header>', '</header><script>window.hacked=1</script><img src="x.png">'
    )
    path.write_text(spoilt)
    browser.open(path)
    assert browser.run('typeof window.hacked') == 'undefined'
    assert any('Content Security Policy' in text for text in browser.problems)


def test_a_page_without_people(opened):
    page = opened(write_lifting_page, viewer.lifting([]))
    assert 'Nobody was found.' in page.text('#notes')
    page.press('ArrowRight')
    assert frame_of(page) == 1


def test_estimated_places_can_be_left(opened):
    people = [
        viewer.results.person(number, range(3), number, placed=True)
        for number in (0, 1)
    ]
    page = opened(write_lifting_page, viewer.lifting(people))
    placed = page.picture('#solid')
    page.choose('#choice-place', 'no')
    assert not np.array_equal(placed, page.picture('#solid'))


def test_hands_over_the_image_and_turning(opened):
    result = viewer.ball_hands()
    page = opened(write_hand_page, result, viewer.colored_video(3))
    page.choose('#choice-show', 'mesh')
    assert page.text('#clock') == 'frame 0 of 3 · 0.00 s'
    one = page.picture('#flat')
    wrist = result.frames[0][0].keypoints[0]
    assert cells(page, 'wrist') == [*(shown(v, 1) for v in wrist), *['0.0000'] * 3]
    page.press('ArrowRight')
    two = page.picture('#flat')
    assert page.run('document.querySelectorAll("#chips button").length') == 2
    # 80 pixels to the right of the middle: where the left hand is and was not
    height, width = two.shape[:2]
    place = (height // 2, round(width / 2 + 80 * min(width / 320, height / 240)))
    background = viewer.frame_color(0)
    assert close_to(one[place], background, 6)
    assert not close_to(two[place], viewer.frame_color(1), 40)
    solid = page.picture('#solid')
    page.press('ArrowRight')
    empty = page.picture('#solid')
    assert (np.abs(solid.astype(int) - empty).max(-1) > 30).mean() > 0.02
    assert set(cells(page, 'wrist')) == {NOTHING}


def test_balls_are_lit_from_the_upper_left_on_either_hand(opened):
    page = opened(write_hand_page, viewer.ball_hands())
    page.choose('#choice-show', 'mesh')
    page.press('ArrowRight')
    page.click('[data-view=camera]')
    picture = page.picture('#solid').astype(int)
    picture = picture[: int(0.6 * len(picture))]  # names of axes are below
    blue = picture[..., 2] - picture[..., 0]
    for mask in (blue > 20, blue < -20):
        rows, columns = np.nonzero(mask)
        assert len(rows) > 500
        light = picture.sum(-1)[mask]
        assert np.corrcoef(rows + columns, light)[0, 1] < -0.4


def test_two_results_of_hands_are_compared(opened):
    page = opened(write_hand_page, viewer.ball_hands(), None, viewer.ball_hands(0.055))
    here, there = (
        hands.frames[0][0].keypoints_3d
        for hands in (viewer.ball_hands(), viewer.ball_hands(0.055))
    )
    error = np.linalg.norm((here - here[0]) - (there - there[0]), axis=-1) * 1000
    assert cells(page, 'thumb4')[-1] == shown(error[4], 1)
    assert f'{error.mean():.1f} mm' in page.text('#notes')
