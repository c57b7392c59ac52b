"""bench/table.py [--results FILE,...] [DOCUMENT]: the results as Markdown tables.

All files that are named after a processor, side by side and then one after
the other.  Printed, or written into the document between the lines
<!-- bench/table.py --> and <!-- end of bench/table.py -->.
"""
import argparse
import csv
import glob
import os
import statistics
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


def times(row):
    """How many times as fast albert was: the median of the rounds, and their lowest and highest."""
    if not row or not row["albert_ratio"]:
        return ""
    text = f"{float(row['albert_ratio']):.2f}"
    return text + f" ({float(row['lowest']):.2f}–{float(row['highest']):.2f})" if row.get("lowest") else text


def best_of_others(rows):
    """The row of the engine that albert is least ahead of, if any."""
    return min((r for r in rows if r["albert_ratio"]), key=lambda r: float(r["albert_ratio"]), default=None)


def by_engine(rows, label):
    """A line for each workload, a column for each engine, and albert beside the best of the others."""
    names = [e for (e,) in unique(rows, "engine")]
    lines = []
    for key in unique(rows, "model", "precision", "workload"):
        some = [r for r in rows if (r["model"], r["precision"], r["workload"]) == key]
        values = {r["engine"]: number(r["value"]) for r in some}
        lines.append([label(*key)] + [values.get(e, "") for e in names] + [times(best_of_others(some))])
    return markdown([""] + names + ["albert / best of the others"], lines)


def side_by_side(files):
    """A line for each section, model and precision, a column for each file: the workloads' ratios to the best of the others."""
    rows = {name: [r for r in rows if r["section"] in ("encoder", "mask", "cores")] for name, (_, rows) in files.items()}
    lines = []
    for key in unique([r for some in rows.values() for r in some], "section", "model", "precision"):
        line = [", ".join(key)]
        for some in rows.values():
            mine = [r for r in some if (r["section"], r["model"], r["precision"]) == key]
            best = [best_of_others([r for r in mine if r["workload"] == w]) for (w,) in unique(mine, "workload")]
            ratios = [float(r["albert_ratio"]) for r in best if r]
            line.append(f"{statistics.geometric_mean(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "")
        lines.append(line)
    return ("**albert / best of the others, machine by machine: geometric mean (lowest–highest) over the workloads**\n\n"
            + markdown([""] + list(files), lines))


def encoder_tables(rows):
    """By workload and precision; and what each engine did."""
    some = [r for r in rows if r["section"] == "encoder"]
    precisions = [p for (p,) in unique(some, "precision")]
    cell = lambda *key: times(best_of_others([r for r in some if (r["model"], r["workload"], r["precision"]) == key]))
    lines = [[f"{model}, {workload}"] + [cell(model, workload, p) for p in precisions] for model, workload in unique(some, "model", "workload")]
    if lines:
        yield "One core: albert / best of the others", markdown([""] + precisions, lines)
    for model, precision in unique(some, "model", "precision"):
        yield (f"{model}, {precision}, one core, tokens a second",
               by_engine([r for r in some if (r["model"], r["precision"]) == (model, precision)], lambda m, p, w: w))


def section_table(rows, section, title, label):
    some = [r for r in rows if r["section"] == section]
    if some:
        yield title, by_engine(some, label)


def database_tables(rows):
    some = [r for r in rows if r["section"] == "database"]
    speed = [r for r in some if r["unit"] in ("tokens/s", "rows/s")]
    for model, workload, unit in unique(speed, "model", "workload", "unit"):
        mine = [r for r in speed if (r["model"], r["workload"], r["unit"]) == (model, workload, unit)]
        precisions = [p for (p,) in unique(mine, "precision")]
        row = {(r["engine"], r["precision"]): r for r in mine}
        lines = [[way] + [cell for p in precisions for r in [row.get((way, p))] for cell in (number(r["value"]) if r else "", times(r))]
                 for (way,) in unique(mine, "engine")]
        yield (f"In the database: {model}, {workload}, {unit.replace('/s', ' a second')}",
               markdown([""] + [h for p in precisions for h in (p, "SELECT / this")], lines))
    rest = [r for r in some if r not in speed]
    if rest:
        yield ("In the database: latency, memory, tokenizer",
               markdown(["", "model", "precision", "", "", "", "SELECT / this"],
                        [[r["workload"], r["model"], r["precision"], r["engine"], number(r["value"]), r["unit"], times(r)] for r in rest]))


def paper_tables(rows):
    """BERT and ALBERT in the same engines, as multiples of BERT-large's speed and size."""
    some = [r for r in rows if r["section"] == "paper" and r["unit"] == "tokens/s"]
    sizes = {r["model"]: float(r["value"]) for r in rows if r["section"] == "paper" and r["workload"] == "weights"}
    if not some:
        return
    workload = some[0]["workload"]
    some += [r for r in rows if r["section"] == "encoder" and (r["precision"], r["workload"]) == ("fp32", workload)]
    value = {(r["model"], r["engine"]): float(r["value"]) for r in some}
    names = [e for (e,) in unique(some, "engine")]
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
    row = {(r["engine"], r["precision"], r["workload"]): r for r in speed}
    workloads = [w for (w,) in unique(speed, "workload")]
    lines = []
    for precision, engine in unique(speed, "precision", "engine"):
        line = [f"{precision}, {engine}"]
        for w in workloads:
            mine = row.get((engine, precision, w))
            line += [number(mine["value"]) if mine else "", times(mine)]
            line.append(f"{cosine[engine, precision, w]:.4f}" if (engine, precision, w) in cosine else "")
        lines.append(line)
    yield (f"{speed[0]['model']}, from text to vector, one core: texts a second",
           markdown([""] + [head for w in workloads for head in (w, "SELECT / this", "least cosine to fp32")], lines))


def tables(comments, rows):
    """Those of one machine."""
    out = ["Measured on " + "; ".join(c for c in comments if not c.startswith("left out: ")) + ".\n"]
    missing = [c[len("left out: "):] for c in comments if c.startswith("left out: ")]
    generators = (encoder_tables(rows),
                  section_table(rows, "mask", "Filling the mask of one text, milliseconds, one core, without a database",
                                lambda m, p, w: f"{m}, {p}, {w}"),
                  section_table(rows, "cores", "Two cores: short texts, tokens a second", lambda m, p, w: f"{m}, {p}"),
                  database_tables(rows), paper_tables(rows), minilm_tables(rows))
    for generator in generators:
        for title, table in generator:
            out.append(f"**{title}**\n\n{table}")
    if missing:
        out.append("Left out: " + "; ".join(missing) + ".\n")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=lambda text: text.split(","), default=sorted(glob.glob(os.path.join(HERE, "results/*-*.csv"))))
    parser.add_argument("document", nargs="?")
    options = parser.parse_args()
    files = {os.path.basename(path)[:-len(".csv")]: read(path) for path in options.results}
    text = "\n".join([side_by_side(files)] + [f"### {name}\n\n{tables(*content)}" for name, content in files.items()])
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
