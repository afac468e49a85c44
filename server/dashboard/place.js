// What the address says of what is chosen, so that a link or a reload shows the same: "#funnel=checkout&metric=revenue".

const parts = () => new URLSearchParams(location.hash.slice(1));

/** The id that the address names, if there is such a one. */
export const wish = (kind, all) => all.find((one) => one.id === parts().get(kind))?.id;

/** Puts a choice into the address; where there is nothing to choose from it says nothing. */
export function choice(kind, id, isOne) {
  const said = parts();
  if (id && isOne) said.set(kind, id);
  else said.delete(kind);
  history.replaceState(null, '', said.size > 0 ? `#${said}` : location.pathname);
}
