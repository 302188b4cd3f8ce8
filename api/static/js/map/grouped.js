// Figures as text: commas between thousands, a point before decimals, as Chinese and English have it.

// At most so many decimals, none that says nothing. Intl does the same and costs 40 ms at its first use.
export function grouped(value, most = 3) {
  if (!Number.isFinite(value)) return "–";
  const step = 10 ** most;
  const rounded = Math.round(Math.abs(value) * step) / step;
  const [whole, decimals] = rounded.toFixed(most).split(".");
  const tail = (decimals ?? "").replace(/0+$/, "");
  const sign = value < 0 && rounded ? "-" : "";
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (tail && `.${tail}`);
}
