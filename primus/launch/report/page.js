"use strict";
(async () => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const figures = charts.map((_, n) => document.getElementById(`chart-${n}`));
  if (!("DecompressionStream" in window)) {
    for (const figure of figures) figure.append("This chart needs a browser of 2023 or later.");
    return;
  }
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const touch = !matchMedia("(hover: hover)").matches;
  const chosen = charts.map((chart) => Object.keys(chart.axes)[0]);

  function layout(chart, axis) {
    const lines = { gridcolor: colour("--grid"), zerolinecolor: colour("--grid"), linecolor: colour("--line") };
    const title = axis ? { text: axis } : chart.layout.xaxis.title;
    return {
      ...chart.layout,
      dragmode: touch ? false : "zoom", // a finger on a chart scrolls the page
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--text"), size: 12 },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--text") },
      xaxis: { ...chart.layout.xaxis, ...lines, title },
      yaxis: { ...chart.layout.yaxis, ...lines },
    };
  }

  function draw(n) {
    const chart = charts[n];
    const axis = chosen[n];
    const traces = axis ? chart.traces.map((trace, i) => ({ ...trace, x: chart.axes[axis][i] })) : chart.traces;
    for (const button of figures[n].querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.dataset.axis === axis);
    }
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: touch ? false : "hover",
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    };
    return Plotly.react(figures[n].querySelector(".plot"), traces, layout(chart, axis), config);
  }

  figures.forEach((figure, n) => {
    for (const button of figure.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        chosen[n] = button.dataset.axis;
        draw(n);
      });
    }
  });
  const all = () => Promise.all(charts.map((_, n) => draw(n)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  await all();
  document.documentElement.dataset.charts = "drawn";
})();
