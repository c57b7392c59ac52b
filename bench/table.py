"""bench/table.py [--results FILE] [DOCUMENT]: the results as Markdown tables.

Printed, or written into the document between the lines
<!-- bench/table.py --> and <!-- end of bench/table.py -->.
"""
import argparse
import csv
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = "<!-- bench/table.py -->", "<!-- end of bench/table.py -->"


def read(path):
    """The comment lines, and the rows as dictionaries."""
    with open(path, newline="") as file:
        lines = file.read().splitlines()
    comments = [line[2:] for line in lines if line.startswith("# ")]
    return comments, list(csv.DictReader(line for line in lines if not line.startswith("# ")))


def unique(rows, *columns):
    return list(dict.fromkeys(tuple(r[c] for c in columns) for r in rows))


def number(value):
    value = float(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def markdown(head, rows):
    """The first column to the left, the others to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def by_engine(rows, label):
    """A line for each workload, a column for each engine, and albert beside the best of the others."""
    names = [e for (e,) in unique(rows, "engine")]
    faster = min if rows[0]["unit"] == "ms" else max
    lines = []
    for key in unique(rows, "model", "precision", "workload"):
        values = {r["engine"]: float(r["value"]) for r in rows if (r["model"], r["precision"], r["workload"]) == key}
        others = [v for e, v in values.items() if e != "albert"]
        ratio = ""
        if "albert" in values and others:
            best = faster(others)
            ratio = f"{best / values['albert'] if faster is min else values['albert'] / best:.2f}"
        lines.append([label(*key)] + [number(values[e]) if e in values else "" for e in names] + [ratio])
    if not any(line[-1] for line in lines):
        return markdown([""] + names, [line[:-1] for line in lines])
    return markdown([""] + names + ["albert / best of the others"], lines)


def encoder_tables(rows):
    some = [r for r in rows if r["section"] == "encoder"]
    for model, precision in unique(some, "model", "precision"):
        yield (f"{model}, {precision}, one core, tokens a second",
               by_engine([r for r in some if (r["model"], r["precision"]) == (model, precision)], lambda m, p, w: w))


def section_table(rows, section, title, label):
    some = [r for r in rows if r["section"] == section]
    if some:
        yield title, by_engine(some, label)


def database_tables(rows):
    some = [r for r in rows if r["section"] == "database"]
    speed = [r for r in some if r["unit"] == "tokens/s"]
    if speed:
        ways = [w for (w,) in unique(speed, "engine")]
        precisions = [p for (p,) in unique(speed, "precision")]
        value = {(r["engine"], r["precision"]): float(r["value"]) for r in speed}
        lines = []
        for way in ways:
            line = [way]
            for p in precisions:
                line.append(number(value[way, p]) if (way, p) in value else "")
                line.append(f"{value['SELECT', p] / value[way, p]:.2f}" if (way, p) in value and ("SELECT", p) in value else "")
            lines.append(line)
        yield ("In the database: short texts, tokens a second",
               markdown([""] + [h for p in precisions for h in (p, "SELECT / this")], lines))
    rest = [r for r in some if r["unit"] != "tokens/s"]
    if rest:
        yield ("In the database: latency and memory",
               markdown(["", "precision", "", "", ""], [[r["workload"], r["precision"], r["engine"], number(r["value"]), r["unit"]] for r in rest]))


def paper_tables(rows):
    """BERT and ALBERT in the same engines, as multiples of BERT-large's speed and size."""
    some = [r for r in rows if r["section"] == "paper" and r["unit"] == "tokens/s"]
    sizes = {r["model"]: float(r["value"]) for r in rows if r["section"] == "paper" and r["workload"] == "weights"}
    if not some:
        return
    workload = some[0]["workload"]
    some += [r for r in rows if r["section"] == "encoder" and (r["precision"], r["workload"]) == ("fp32", workload)]
    value = {(r["model"], r["engine"]): float(r["value"]) for r in some}
    names = [e for (e,) in unique(some, "engine") if e != "onnxruntime fused"]
    lines = []
    for (model,) in unique(some, "model"):
        line = [model, f"{sizes[model]:,.0f}" if model in sizes else ""]
        for e in names:
            large = value.get(("bert-large", e))
            mine = value.get((model, e))
            line.append("" if mine is None else number(mine) + (f" ({mine / large:.2f})" if large else ""))
        lines.append(line)
    yield (f"BERT and ALBERT, fp32, {workload}, one core: tokens a second (times BERT-large in the same engine)",
           markdown(["", "weights, MB"] + names, lines))


def minilm_tables(rows):
    """A published model from text to vector; what int8 and bf16 cost is told by the least cosine to the engine's own fp32."""
    some = [r for r in rows if r["section"] == "minilm"]
    speed = [r for r in some if r["unit"] == "texts/s"]
    if not speed:
        return
    cosine = {(r["engine"].split(", least cosine")[0], r["precision"], r["workload"]): float(r["value"])
              for r in some if r["engine"].endswith(", least cosine to fp32")}
    value = {(r["engine"], r["precision"], r["workload"]): float(r["value"]) for r in speed}
    workloads = [w for (w,) in unique(speed, "workload")]
    lines = []
    for precision, engine in unique(speed, "precision", "engine"):
        line = [f"{precision}, {engine}"]
        for w in workloads:
            mine = value.get((engine, precision, w))
            select = value.get(("SELECT", precision, w))
            line.append("" if mine is None else number(mine))
            line.append("" if mine is None or select is None or engine == "SELECT" else f"{select / mine:.2f}")
            line.append(f"{cosine[engine, precision, w]:.4f}" if (engine, precision, w) in cosine else "")
        lines.append(line)
    yield (f"{speed[0]['model']}, from text to vector, one core: texts a second",
           markdown([""] + [head for w in workloads for head in (w, "SELECT / this", "least cosine to fp32")], lines))


def tables(path):
    comments, rows = read(path)
    out = ["Measured on " + "; ".join(c for c in comments if not c.startswith("left out: ")) + ".\n"]
    missing = [c[len("left out: "):] for c in comments if c.startswith("left out: ")]
    generators = (encoder_tables(rows),
                  section_table(rows, "mask", "Filling the mask of one text, milliseconds, one core, without a database",
                                lambda m, p, w: f"{p}, {w}"),
                  section_table(rows, "cores", "Two cores: short texts, tokens a second", lambda m, p, w: p),
                  database_tables(rows), paper_tables(rows), minilm_tables(rows))
    for generator in generators:
        for title, table in generator:
            out.append(f"**{title}**\n\n{table}")
    if missing:
        out.append("Left out: " + "; ".join(missing) + ".\n")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default=os.path.join(HERE, "results/results.csv"))
    parser.add_argument("document", nargs="?")
    options = parser.parse_args()
    text = tables(options.results)
    if options.document is None:
        print(text)
        return 0
    with open(options.document) as file:
        before, begin, rest = file.read().partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{options.document} has no lines {BEGIN} and {END}", file=sys.stderr)
        return 1
    with open(options.document, "w") as file:
        file.write(before + BEGIN + "\n\n" + text + "\n" + END + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
