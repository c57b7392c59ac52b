"""The results as a picture: tokens a second by workload and engine."""
import csv


def draw(table, picture):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with open(table) as file:
        header = [line[2:].strip() for line in file if line.startswith("#")]
    with open(table) as file:
        rows = [r for r in csv.DictReader(line for line in file if not line.startswith("#"))
                if r["section"] == "encoder" and r["model"] == "base"]
    precisions = list(dict.fromkeys(r["precision"] for r in rows))
    if not rows:
        return
    figure, axes = plt.subplots(len(precisions), 1, figsize=(10, 3.2 * len(precisions)), squeeze=False)
    for axis, precision in zip(axes[:, 0], precisions):
        some = [r for r in rows if r["precision"] == precision]
        workloads = list(dict.fromkeys(r["workload"] for r in some))
        engines = list(dict.fromkeys(r["engine"] for r in some))
        for i, engine in enumerate(engines):
            values = {r["workload"]: float(r["value"]) for r in some if r["engine"] == engine}
            axis.bar([w + i * 0.8 / len(engines) for w in range(len(workloads))],
                     [values.get(w, 0) for w in workloads], 0.8 / len(engines), label=engine)
        axis.set_xticks([w + 0.3 for w in range(len(workloads))], workloads, fontsize=8)
        axis.set_ylabel("tokens a second")
        axis.set_title(f"ALBERT-base, {precision}, one core", fontsize=10)
        axis.legend(fontsize=8)
    figure.text(0.01, 0.003, "; ".join(header), fontsize=6)
    figure.tight_layout(rect=(0, 0.01, 1, 1))
    figure.savefig(picture)
