"""Colour pictures of scenes: light, shadows, and what a camera does to them."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from mmssm.datasets.synthhand.backgrounds import sample_background
from mmssm.datasets.synthhand.colours import look_up, to_linear, to_srgb
from mmssm.datasets.synthhand.meshes import Mesh
from mmssm.datasets.synthhand.scenes import Scene
from mmssm.datasets.synthhand.skin import SkinLook, SkinMap
from mmssm.geometry.hand_model import HandModel
from mmssm.geometry.rasterizer import (
    Fragments,
    rasterize,
    supersampled,
    vertex_normals,
)

SUPERSAMPLING = 2

_LEAST_SEEN = 0.55
"""Share of the hand's pixels that things may not hide."""

_SHADOW_SIZE = 192
_SHADOW_BIAS = 0.004
_WRAP = np.array([0.34, 0.2, 0.14])
"""How far light creeps around the edge of lit skin: red goes deepest."""


@dataclass(frozen=True)
class Light:
    """Light of a scene.

    Attributes:
        direction: ``(3,)`` unit vector towards the main light, camera frame.
        colour: ``(3,)`` of the main light, linear RGB.
        sky: ``(3,)`` of light from above.
        ground: ``(3,)`` of light from below.
        up: ``(3,)`` unit vector.
        softness: Width of shadows' edges, in pixels of the shadow's map.
    """

    direction: np.ndarray
    colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    up: np.ndarray
    softness: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Light':
        """Draws a light from in front of the scene, mostly from above."""
        direction = rng.normal(0, 1, 3) * [0.9, 0.6, 0.35] + [0, -0.6, -0.8]
        warmth = rng.normal(0, 0.12)
        tint = np.array([1 + warmth, 1.0, 1 - warmth])
        key = rng.uniform(0.45, 1.15)
        fill = rng.uniform(0.15, 0.45)
        up = np.array([rng.normal(0, 0.3), -1, rng.normal(0, 0.3)])
        return cls(
            direction / np.linalg.norm(direction),
            key * tint,
            fill * (2 - tint) * rng.uniform(0.8, 1.3),
            fill * rng.uniform(0.3, 0.8, 3),
            up / np.linalg.norm(up),
            rng.uniform(0.6, 2.5),
        )


@dataclass(frozen=True)
class Picture:
    """A rendered scene.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR.
        mask: ``(H, W)`` uint8, 255 where the hand is seen, without its arm and
            without what hides it.
    """

    image: np.ndarray
    mask: np.ndarray


class Painter:
    """Renders scenes in colour.

    Args:
        model: The hand of the scenes.
        size: Height and width of the pictures, pixels.
    """

    def __init__(self, model: HandModel, size: tuple[int, int]) -> None:
        self.faces = model.faces.numpy()
        self.skin = SkinMap(model)
        self.size = size

    def paint(self, scene: Scene, rng: np.random.Generator) -> Picture:
        """Renders a scene with a look drawn at random.

        A thing that would hide most of the hand is left out.
        """
        layers = [Mesh(scene.hand.vertices, self.faces), scene.arm, *scene.things]
        camera = supersampled(scene.hand.camera, SUPERSAMPLING)
        fine = (SUPERSAMPLING * self.size[0], SUPERSAMPLING * self.size[1])
        seen = [rasterize(*mesh, camera, fine, cull_back=True) for mesh in layers]
        owner = _nearest(seen)
        if (owner == 0).sum() < _LEAST_SEEN * seen[0].mask.sum():
            layers, seen = layers[:2], seen[:2]
            owner = _nearest(seen)
        light, look = Light.sample(rng), SkinLook.sample(rng)
        background = sample_background(rng, self.size)
        linear = cv2.resize(background, fine[::-1]) * rng.uniform(0.5, 1.2)
        shade = _Shade(light, layers, camera, _occlusion(seen, owner, camera))
        bare, sleeve = rng.random() < 0.6, to_linear(rng.uniform(0.03, 0.9, 3))
        arm_attributes = self.skin.arm_attributes(scene.arm_at_rest)
        for number, (mesh, fragments) in enumerate(zip(layers, seen, strict=True)):
            mine = owner == number
            if number == 0:
                values = _attributes(fragments, self.faces, self.skin.attributes, mine)
                colour = self.skin.colour(look, values)
                gloss = look.gloss
            elif number == 1:
                values = _attributes(fragments, mesh.faces, arm_attributes, mine)
                colour = self.skin.colour(look, values) if bare else sleeve
                gloss = look.gloss if bare else 0.0
            else:
                colour, gloss = _paint_thing(rng, mesh, fragments, mine)
            wrap = _WRAP if number < 2 else np.zeros(3)
            linear[mine] = shade(mesh, fragments, mine, colour, wrap, gloss)
        mask = _shrink((owner == 0).astype(np.float32)) >= 0.5
        return Picture(_develop(rng, _shrink(linear)), 255 * mask.astype(np.uint8))


class _Shade:
    """Light that leaves surfaces towards the camera."""

    def __init__(
        self, light: Light, layers: list[Mesh], camera: np.ndarray, open_: np.ndarray
    ) -> None:
        self.light = light
        self.camera = camera
        self.open = open_
        self.shadow = _ShadowMap(light, layers)

    def __call__(
        self,
        mesh: Mesh,
        fragments: Fragments,
        mine: np.ndarray,
        colour: np.ndarray,
        wrap: np.ndarray,
        gloss: float,
    ) -> np.ndarray:
        light = self.light
        normals = vertex_normals(*mesh)
        values = _attributes(
            fragments, mesh.faces, np.concatenate([mesh.vertices, normals], 1), mine
        )
        place, normal = values[:, :3], _unit(values[:, 3:])
        view = _unit(-place)
        facing = normal @ light.direction
        lit = self.shadow.visible(place, normal)
        # what faces away is dark by itself; the map's noise there must not show
        lit = np.where(facing > 0, lit, 1.0)
        diffuse = np.clip((facing[:, None] + wrap) / (1 + wrap), 0, None)
        diffuse = diffuse * (wrap + (1 - wrap) * lit[:, None])
        half = _unit(view + light.direction)
        shine = gloss * lit * np.clip((normal * half).sum(1), 0, 1) ** 24
        rim = 0.5 + 0.5 * (normal @ light.up)
        ambient = light.ground + rim[:, None] * (light.sky - light.ground)
        ambient = ambient * self.open[mine][:, None]
        glow = (shine * np.clip(facing, 0, 1) * 3)[:, None]
        return colour * (diffuse * light.colour + ambient) + glow * light.colour


class _ShadowMap:
    """What the main light sees of the scene."""

    def __init__(self, light: Light, layers: list[Mesh]) -> None:
        points = layers[0].vertices
        middle = points.mean(0)
        radius = 1.15 * np.linalg.norm(points - middle, axis=1).max()
        helper = np.eye(3)[np.abs(light.direction).argmin()]
        x = _unit(np.cross(helper, light.direction)[None])[0]
        y = np.cross(-light.direction, x)
        # columns of the turn are the axes of a camera at the light
        self.turn = np.stack([x, y, -light.direction], 1)
        self.origin = middle + light.direction * 20 * radius
        focal = 0.5 * _SHADOW_SIZE * 20
        centre = (_SHADOW_SIZE - 1) / 2
        self.camera = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
        self.softness = light.softness
        depth = np.full((_SHADOW_SIZE, _SHADOW_SIZE), np.inf)
        for mesh in layers:
            seen = rasterize(
                (mesh.vertices - self.origin) @ self.turn,
                mesh.faces,
                self.camera,
                depth.shape,
            )
            depth = np.minimum(depth, seen.depth)
        self.depth = np.where(np.isinf(depth), 1e3, depth).astype(np.float32)

    def visible(self, place: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Share of the light that reaches each point ``(P,)``."""
        points = (place + 0.002 * normal - self.origin) @ self.turn @ self.camera.T
        depth = points[:, 2]
        x, y = (points[:, k] / depth for k in range(2))
        lit = np.zeros(len(place))
        around = self.softness * np.array([(-1, -0.4), (0.4, -1), (1, 0.4), (-0.4, 1)])
        for dx, dy in around:
            seen = look_up(self.depth, x + dx, y + dy, 1e3)
            lit += np.clip((seen + _SHADOW_BIAS - depth) / 0.003 + 0.5, 0, 1)
        return lit / len(around)


def _nearest(seen: list[Fragments]) -> np.ndarray:
    """Number of the nearest layer at each pixel, -1 for none."""
    owner = np.where(seen[0].mask, 0, -1)
    depth = seen[0].depth
    for number, fragments in enumerate(seen[1:], start=1):
        owner[fragments.depth < depth] = number
        depth = np.minimum(depth, fragments.depth)
    return owner


def _attributes(
    fragments: Fragments, faces: np.ndarray, values: np.ndarray, mine: np.ndarray
) -> np.ndarray:
    """Values ``(P, C)`` at the chosen pixels."""
    corners = values[faces[fragments.face[mine]]]
    return np.einsum('pk,pkc->pc', fragments.weights[mine], corners)


def _occlusion(
    seen: list[Fragments], owner: np.ndarray, camera: np.ndarray
) -> np.ndarray:
    """Share of ambient light that depth around a pixel leaves: ``(H, W)``.

    A pixel deeper than its neighbourhood on average lies in a hollow.
    """
    depth = functools.reduce(np.minimum, (fragments.depth for fragments in seen))
    there = owner >= 0
    if not there.any():
        return np.ones(owner.shape)
    filled = np.where(there, depth, 0).astype(np.float32)
    share = np.ones(owner.shape)
    for radius in (0.006, 0.018):
        pixels = radius * camera[0, 0] / float(np.median(depth[there]))
        width = 2 * max(1, round(pixels)) + 1
        total = cv2.blur(filled, (width, width))
        count = cv2.blur(there.astype(np.float32), (width, width))
        mean = total / np.maximum(count, 1e-6)
        hollow = np.clip(np.where(there, depth, 0) - mean - 0.0005, 0, radius)
        share *= 1 - 0.55 * hollow / radius
    return np.where(there, share, 1)


def _paint_thing(
    rng: np.random.Generator, mesh: Mesh, fragments: Fragments, mine: np.ndarray
) -> tuple[np.ndarray, float]:
    """Colour ``(P, 3)`` and gloss of a thing: two colours in bands."""
    place = _attributes(fragments, mesh.faces, mesh.vertices, mine)
    axis = rng.normal(size=3)
    wave = np.sin(place @ (axis / np.linalg.norm(axis)) * rng.uniform(60, 500))
    first, second = to_linear(rng.uniform(0, 1, (2, 3)))
    if rng.random() < 0.4:
        second = first
    share = np.clip(0.5 + 3 * wave, 0, 1)[:, None]
    return share * first + (1 - share) * second, rng.uniform(0, 0.3)


def _develop(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """What a camera makes of the light: exposure, tint, blur, noise; BGR bytes."""
    linear = linear * rng.uniform(0.75, 1.35) * rng.normal(1, 0.03, 3)
    blur = rng.uniform(0, 0.7)
    if blur > 0.25:
        linear = cv2.GaussianBlur(linear, (0, 0), blur)
    picture = to_srgb(linear)
    picture = picture + rng.normal(0, rng.uniform(0.002, 0.02), picture.shape)
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)[..., ::-1]


def _shrink(picture: np.ndarray) -> np.ndarray:
    """Means over the pixels that supersampling added."""
    height, width = (side // SUPERSAMPLING for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
