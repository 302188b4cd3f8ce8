// What the page's frame and style sheet say: options in data attributes, colours in custom properties.

export function optionsOf(element) {
  return JSON.parse(element.dataset.options || "{}");
}

export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Calls back when the reader's theme changes, so that canvases follow the style sheet.
export function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}

// Text from data enters the page here alone: as text.
export function textElement(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text ?? "";
  return element;
}
