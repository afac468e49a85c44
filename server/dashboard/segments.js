// The project's segments: filters with a name, which steps and metrics choose from.

import { $, el } from './dom.js';

const LIST_MS = 10_000;

export class Segments {
  #shown = '';

  /** Opens the form of one, for those who may define; set by whoever has the forms. */
  open = null;

  constructor(client, project) {
    Object.assign(this, { client, project });
  }

  get routines() {
    return [[LIST_MS, () => this.list(), { asks: true, whenVisible: true }]];
  }

  /** Looks which there are. */
  async list() {
    const segments = await this.client.list('DefinitionService', 'ListSegments', 'segments', { project: this.project });
    const shown = JSON.stringify(segments);
    if (shown !== this.#shown) this.#draw(segments);
    this.#shown = shown;
  }

  choose() {} // Nothing is shown of one but its form.

  #draw(segments) {
    $('segment-list').hidden = segments.length === 0;
    $('segment-note').hidden = segments.length > 0;
    $('segment-list').replaceChildren(...segments.map((segment) => {
      const text = segment.title || segment.id;
      const chip = el('button', { type: 'button', className: 'chip', disabled: !this.open }, el('span', { className: 'name', textContent: text, title: text }));
      chip.addEventListener('click', () => this.open(segment.id));
      return chip;
    }));
  }
}
