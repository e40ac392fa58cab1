"""Draws the charts of docs/benchmarks.md; runs in the peers' Python, which has matplotlib.

Arguments: latest.json, folder for the pictures.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

OURS, PEER, MUTED, INK = "#0f766e", "#c2410c", "#94a3b8", "#1f2937"
STORES = {"memory": "#0f766e", "sqlite": "#2563eb", "redis": "#dc2626", "postgresql": "#7c3aed", "redis cluster": "#f59e0b"}

mpl.rcParams.update(
    {
        "svg.hashsalt": "stillhere",  # the same numbers give the same file
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
    }
)


def save(figure, folder, name):
    figure.savefig(folder / f"bench-{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def bars(pairs, title, unit, folder, name):
    """Horizontal bars: (label, value, color), the number at each end."""
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(pairs) + 1))
    labels, values, colors = zip(*pairs)
    drawn = axes.barh(range(len(pairs)), values, color=colors, height=0.66)
    axes.bar_label(drawn, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values], padding=4)
    axes.set_yticks(range(len(pairs)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.14)
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.tick_params(length=0)
    save(figure, folder, name)


def color_of(name):
    return next((color for store, color in reversed(STORES.items()) if name.endswith(store)), OURS)


def beats(rows, folder):
    floor = [row for row in rows["beats beside the floor"] if row["peer"] == "bare ASGI"]
    ours = rows["beats beside Express"]
    sides = [("bare ASGI", row["peer_value"], row["peer_cpu_us"], MUTED) for row in floor]
    sides += [(row["name"], row["value"], row["cpu_us"], color_of(row["name"])) for row in ours]
    sides += [("Express", ours[0]["peer_value"], ours[0]["peer_cpu_us"], PEER)]
    pairs = [(name, value, color) for name, value, _, color in sides]
    bars(pairs, "Beats a second, one worker", "beats/s, more is better", folder, "beats")
    pairs = [(name, cpu, color) for name, _, cpu, color in sides]
    bars(pairs, "CPU time of a beat", "µs of the server, less is better", folder, "cpu")


def requests(rows, folder):
    ours = rows["ordinary requests"]
    pairs = [("stillhere", ours[0]["value"], OURS), *((row["peer"], row["peer_value"], PEER) for row in ours)]
    bars(pairs, "CPU time that sessions add to an ordinary request", "µs, less is better", folder, "requests")


def sizes(rows, folder):
    pairs = [(row["name"].removeprefix("a session in "), row["value"], color_of(row["name"])) for row in rows["bytes for each session"]]
    bars(pairs, "What a session takes", "bytes, less is better", folder, "bytes")


def stored(rows, folder):
    lines = {}
    for row in rows["sessions stored"]:
        store, count = row["name"].split(", ", 1)
        lines.setdefault(store, {number_in(row["peer"]): row["peer_value"]})[number_in(count)] = row["value"]
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for store, points in lines.items():
        axes.plot(*zip(*sorted(points.items())), "o-", color=STORES[store], label=store)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    dress(axes, "CPU time of a beat, by sessions stored", "sessions stored", "µs, server and database")
    save(figure, folder, "stored")


def latency(rows, folder):
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
    for axes, quantile, title in zip(panels, ("p50", "p99"), ("Half of all within", "99 of 100 within")):
        lines = {}
        for row in rows["latency"]:
            which, connections, store = row["name"].split(", ")
            if which == quantile:
                lines.setdefault(store, {})[number_in(connections)] = row["value"]
                lines.setdefault("Express", {})[number_in(connections)] = row["peer_value"]
        for name, points in lines.items():
            axes.plot(*zip(*sorted(points.items())), "o-", color=STORES.get(name, PEER), label=name)
        doubling(axes, {count for points in lines.values() for count in points})
        dress(axes, title, "connections", "ms" if quantile == "p50" else "", legend=quantile == "p50")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    save(figure, folder, "latency")


def batches(rows, folder):
    lines = {}
    for row in rows["batches"]:
        batch, store = row["name"].split(", ")
        lines.setdefault(store, {})[number_in(batch)] = row["value"]
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for store, points in lines.items():
        axes.plot(*zip(*sorted(points.items())), "o-", color=STORES[store], label=store)
    doubling(axes, {size for points in lines.values() for size in points})
    dress(axes, "What a batch wins, without HTTP", "claims in a batch", "claims/s")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    save(figure, folder, "batches")


def doubling(axes, ticks):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted(ticks), [str(tick) for tick in sorted(ticks)])


def dress(axes, title, x, y, legend=True):
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", color="#e5e7eb")
    if legend:
        axes.legend(frameon=False)


def number_in(text):
    return int(next(word for word in text.replace(",", "").split() if word.isdigit()))


def main(file, folder):
    rows = defaultdict(list)
    for row in json.loads(Path(file).read_text("utf-8"))["rows"]:
        rows[row["group"]].append(row)
    charts = {
        "beats beside Express": beats,
        "ordinary requests": requests,
        "bytes for each session": sizes,
        "sessions stored": stored,
        "latency": latency,
        "batches": batches,
    }
    for group, draw in charts.items():
        if rows[group]:
            draw(rows, Path(folder))


main(*sys.argv[1:])
