"""The results as a picture: tokens a second on one core, by workload and engine, a panel for each model and precision."""
import sys

import table

COLOURS = {"albert": "#b8323a", "onnxruntime": "#4878a8", "openvino": "#e0a03c", "torch": "#6a9a58"}
WIDTH, LEFT, PANEL, GAP, TOP = 1180, 70, 190, 80, 60


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def text(x, y, what, size=12, anchor="start", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{extra}>{escaped(what)}</text>'


def nice_step(most):
    """About five steps to the largest value, of 1, 2 or 5 times a power of ten."""
    step = 10.0 ** (len(str(int(most))) - 1)
    while most / step < 4:
        step /= 2 if str(step)[0] in "12" else 2.5
    return step


def panel(rows, model, precision, y0):
    some = [r for r in rows if (r["model"], r["precision"]) == (model, precision)]
    values = {(r["workload"], r["engine"]): float(r["value"]) for r in some}
    names = list(dict.fromkeys(r["workload"] for r in some))
    used = [e for e in COLOURS if any(r["engine"] == e for r in some)]
    most = max(values.values())
    step = nice_step(most)
    width = (WIDTH - LEFT - 10) / len(names)
    bar = 0.84 * width / len(used)
    out = [text(LEFT, y0 - 12, f"{model}, {precision}", 15, extra=' font-weight="bold"')]
    for i, engine in enumerate(used):
        out.append(f'<rect x="{LEFT + 180 + 150 * i}" y="{y0 - 23}" width="12" height="12" fill="{COLOURS[engine]}"/>')
        out.append(text(LEFT + 197 + 150 * i, y0 - 12, engine))
    for i in range(int(most / step) + 1):
        y = y0 + PANEL * (1 - i * step / most)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(text(LEFT - 6, y + 4, f"{i * step:,.0f}", 11, "end"))
    for w, name in enumerate(names):
        x = LEFT + w * width + 0.08 * width
        for i, engine in enumerate(used):
            if (name, engine) in values:
                height = PANEL * values[name, engine] / most
                out.append(f'<rect x="{x + i * bar:.1f}" y="{y0 + PANEL - height:.1f}" width="{0.9 * bar:.1f}" height="{height:.1f}" '
                           f'fill="{COLOURS[engine]}"><title>{engine}, {name}: {values[name, engine]:,.0f}</title></rect>')
        out.append(text(x + 0.42 * width, y0 + PANEL + 16, name, 11, "middle"))
    return out


def draw(source, picture):
    header, rows = table.read(source)
    rows = [r for r in rows if r["section"] == "encoder" and r["model"] in ("base", "albert-mini")]
    panels = table.unique(rows, "model", "precision")
    if not rows:
        return
    height = TOP + len(panels) * (PANEL + GAP) + 25
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" fill="#222">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           text(10, 22, "ALBERT on one core: tokens a second, by texts x tokens in each", 15)]
    for i, (model, precision) in enumerate(panels):
        out += panel(rows, model, precision, TOP + 10 + i * (PANEL + GAP))
    out.append(text(10, height - 22, header[0], 10) if header else "")
    out.append(text(10, height - 8, "; ".join(line for line in header[1:] if not line.startswith("left out")), 10))
    with open(picture, "w") as file:
        file.write("\n".join(out + ["</svg>", ""]))


if __name__ == "__main__":
    draw(*sys.argv[1:3])
