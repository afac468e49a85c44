// What the address says, so that a link or a reload shows the same: what is chosen on the board, "#funnel=checkout&metric=revenue",
// or a view of its own, "#/shop/incidents/0123456789abcdef".

const VIEWS = new Set(['incidents', 'alert-rules']);
/** What the board's address said last: while another view is open, the board keeps its choices. */
let board = '';

/** The view that an address names: {project, view, id}; null is the board. */
export function viewOf(hash) {
  const [, project = '', view = '', id = ''] = (hash.startsWith('#/') ? hash.slice(1) : '').split('/').map(decoded);
  return project && VIEWS.has(view) ? { project, view, id } : null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view; the one that messages carry. */
export const addressOf = (project, view, id = '') => `#/${[project, view, id].filter(Boolean).map(encodeURIComponent).join('/')}`;

/** The address of the board as it was left. */
export const boardAddress = () => `#${board}`;

const onBoard = () => !location.hash.startsWith('#/');

function parts() {
  if (onBoard()) board = location.hash.slice(1);
  return new URLSearchParams(board);
}

/** The id that the address names, if there is such a one. */
export const wish = (kind, all) => all.find((one) => one.id === parts().get(kind))?.id;

/** Puts a choice into the address; where there is nothing to choose from it says nothing. */
export function choice(kind, id, isOne) {
  const said = parts();
  if (id && isOne) said.set(kind, id);
  else said.delete(kind);
  board = String(said);
  if (onBoard()) history.replaceState(null, '', said.size > 0 ? `#${said}` : location.pathname);
}
