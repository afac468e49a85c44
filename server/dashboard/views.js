// Which part of the page is shown: the board, or what the address names instead of it.

import { $ } from './dom.js';
import { addressOf, boardAddress, viewOf } from './place.js';

const SECTIONS = ['incidents', 'incident', 'alert-rules'];

export class Views {
  #abort = new AbortController();
  #shown = '';
  #part = null;

  /**
   * @param {object} parts by section: `open(id)` when it is shown, `close()` when it is not any more
   * @param {object} on `board()` when the board is shown again; `elsewhere(project)` when the address names another project
   */
  constructor(project, parts, on) {
    Object.assign(this, { project, parts, on });
    $('to-incidents').href = addressOf(project, 'incidents');
    $('to-alert-rules').href = addressOf(project, 'alert-rules');
    addEventListener('hashchange', () => this.show(), { signal: this.#abort.signal });
    this.show();
  }

  end() {
    this.#abort.abort();
    this.#part?.close();
    $('alerts').hidden = true;
  }

  /** Shows what the address names. */
  show() {
    const view = viewOf(location.hash);
    if (view && view.project !== this.project) {
      this.on.elsewhere(view.project);
      return;
    }
    const section = view?.view === 'incidents' && view.id ? 'incident' : view?.view ?? 'board';
    this.#part?.close();
    this.#part = this.parts[section] ?? null;
    this.#draw(section);
    this.#part?.open(view.id);
    if (section === 'board') this.on.board();
    // The first one is what the page was opened at; a later one is a step that whoever reads the page aloud has to hear.
    if (this.#shown && this.#shown !== location.hash) this.#arrive(section);
    this.#shown = location.hash || '#';
  }

  #draw(section) {
    $('board').hidden = section !== 'board';
    $('alerts').hidden = section === 'board';
    for (const id of SECTIONS) $(id).hidden = id !== section;
    $('to-board').href = boardAddress();
    current($('to-incidents'), { incidents: 'page', incident: 'true' }[section]);
    current($('to-alert-rules'), { 'alert-rules': 'page' }[section]);
  }

  #arrive(section) {
    scrollTo(0, 0);
    if (section !== 'board') $(section).focus({ preventScroll: true });
  }
}

/** Marks a link as leading to what is shown. */
function current(link, how) {
  if (how) link.setAttribute('aria-current', how);
  else link.removeAttribute('aria-current');
}
