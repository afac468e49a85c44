// Small helpers over the DOM. Text only ever goes in as text, and styles only through the CSSOM: the page's
// content security policy allows neither inline scripts nor style attributes.

export const $ = (id) => document.getElementById(id);

/** An element with properties and children. */
export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** The same for SVG, with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

/** Sets text only where it differs, so that nothing is laid out or read aloud again for nothing. */
export function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Starts a CSS animation anew. */
export function restart(node, name, others = []) {
  node.classList.remove(name, ...others);
  void node.offsetWidth;
  node.classList.add(name);
}

/**
 * Runs `work` at most once per `ms`, and always once more after the last call: a busy stream costs no more
 * than a quiet one.
 */
export function throttled(ms, work) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      work();
    }, ms);
  };
}
