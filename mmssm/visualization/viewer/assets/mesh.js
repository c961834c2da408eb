/* A software rasteriser: shaded triangles with a depth buffer, on any machine. */

const MOST_PIXELS = 1.5e6; // of a picture, so that it turns and plays in time

const LIGHT = (() => {
  // towards the light: from above, behind the left shoulder of who looks
  const light = [-0.35, -0.6, -0.72];
  const length = Math.hypot(...light);
  return light.map((value) => value / length);
})();

/** Unit normals of the vertices: means over the faces around, weighted by area. */
function normalsOf(points, faces) {
  const normals = new Float32Array(points.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [ux, uy, uz] = [0, 1, 2].map((i) => points[b + i] - points[a + i]);
    const [vx, vy, vz] = [0, 1, 2].map((i) => points[c + i] - points[a + i]);
    const across = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) {
      for (let i = 0; i < 3; i++) normals[corner + i] += across[i];
    }
  }
  for (let v = 0; v < normals.length; v += 3) {
    const length = Math.hypot(normals[v], normals[v + 1], normals[v + 2]) || 1;
    for (let i = 0; i < 3; i++) normals[v + i] /= length;
  }
  return normals;
}

/** Brightness of a normal seen from the front: some light is everywhere. */
function brightness(x, y, z) {
  return 0.35 + 0.65 * Math.max(0, x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]);
}

/** A picture of meshes that hide one another. */
class MeshLayer {
  constructor() {
    this.canvas = document.createElement('canvas');
  }

  /** Empties it, for a panel of a size in CSS pixels; twice as fine if that is quick. */
  begin(width, height) {
    const quick = Math.max(1, Math.sqrt(MOST_PIXELS / Math.max(1, width * height)));
    const fine = Math.min(quick, Math.max(2, Math.min(3, window.devicePixelRatio || 1)));
    const [columns, rows] = [Math.ceil(width * fine), Math.ceil(height * fine)];
    this.fine = fine;
    if (this.canvas.width !== columns || this.canvas.height !== rows || !this.image) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this.image = new ImageData(columns, rows);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.nearness = new Float32Array(columns * rows);
    } else {
      this.pixels.fill(0);
      this.nearness.fill(0);
    }
  }

  /**
   * Draws one mesh.
   * points: x, y in CSS pixels and 1 / depth of each vertex (0: behind the eye);
   * shades: brightness of each vertex; inside out: faces are clockwise from outside.
   */
  draw(points, shades, faces, ink, insideOut) {
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [faces[f], faces[f + 1], faces[f + 2]];
      if (points[3 * a + 2] > 0 && points[3 * b + 2] > 0 && points[3 * c + 2] > 0) {
        this.triangle(points, shades, a, b, c, ink, insideOut);
      }
    }
  }

  triangle(points, shades, a, b, c, ink, insideOut) {
    const { width, height } = this.canvas;
    const fine = this.fine;
    const [ax, ay, az] = [points[3 * a] * fine, points[3 * a + 1] * fine, points[3 * a + 2]];
    const [bx, by, bz] = [points[3 * b] * fine, points[3 * b + 1] * fine, points[3 * b + 2]];
    const [cx, cy, cz] = [points[3 * c] * fine, points[3 * c + 1] * fine, points[3 * c + 2]];
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (!area) return;
    const x0 = Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 0.5));
    const x1 = Math.min(width - 1, Math.floor(Math.max(ax, bx, cx) - 0.5));
    const y0 = Math.max(0, Math.ceil(Math.min(ay, by, cy) - 0.5));
    const y1 = Math.min(height - 1, Math.floor(Math.max(ay, by, cy) - 0.5));
    // y points down: counter-clockwise from outside is negative here
    const inside = area > 0 !== insideOut;
    for (let y = y0; y <= y1; y++) {
      for (let x = x0; x <= x1; x++) {
        const [px, py] = [x + 0.5, y + 0.5];
        const wb = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) / area;
        const wc = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / area;
        const wa = 1 - wb - wc;
        if (wa < 0 || wb < 0 || wc < 0) continue;
        const near = wa * az + wb * bz + wc * cz;
        const at = y * width + x;
        if (near <= this.nearness[at]) continue;
        this.nearness[at] = near;
        const lit = wa * shades[a] + wb * shades[b] + wc * shades[c];
        const light = inside ? 0.3 : lit;
        // little-endian: alpha, blue, green, red
        this.pixels[at] =
          (255 << 24) | ((ink[2] * light) << 16) | ((ink[1] * light) << 8) | (ink[0] * light);
      }
    }
  }

  /** Puts the picture over what a panel shows. */
  end(context, opacity) {
    const { canvas, fine } = this;
    canvas.getContext('2d').putImageData(this.image, 0, 0);
    context.globalAlpha = opacity;
    context.drawImage(canvas, 0, 0, canvas.width / fine, canvas.height / fine);
    context.globalAlpha = 1;
  }
}
