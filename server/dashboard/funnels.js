// The project's funnels: which there are, which one is chosen, and their subscriptions.

import { $, el, setText, throttled } from './dom.js';
import { percent } from './format.js';
import { Funnel, SAMPLE_MS } from './funnel.js';
import { FunnelView } from './funnel-view.js';
import { choice, wish } from './place.js';

const LIST_MS = 5_000;
const DRAW_MS = 100;
/** Followed all the time; of the others only the chosen one, so that a watch keeps below its 100 subscriptions. */
const FOLLOWED = 60;
/** Ended by the server because they are gone, which the next look at the list will show. */
const GONE = new Set(['funnel_deleted', 'funnel_unknown']);

export class Funnels {
  #funnels = new Map();
  #chosen = '';
  #view = new FunnelView();
  #redraw = throttled(DRAW_MS, () => this.#view.draw(performance.now()));

  /** @param {object} on `notice(funnel, notice)` for what is no ordinary movement; `delta(id, delta)`; `changed()` */
  constructor(client, project, watch, on) {
    Object.assign(this, { client, project, watch, on });
  }

  get all() {
    return [...this.#funnels.values()];
  }

  get chosen() {
    return this.#funnels.get(this.#chosen);
  }

  get(id) {
    return this.#funnels.get(id);
  }

  /** What is repeated, and how often. */
  get routines() {
    return [[LIST_MS, () => this.list(), { asks: true }], [1000, () => this.#second()], [SAMPLE_MS, () => this.#sample()]];
  }

  /** Looks which funnels there are. */
  async list() {
    const defined = await this.client.list('DefinitionService', 'ListFunnels', 'funnels', { project: this.project });
    this.#take(defined);
  }

  #take(defined) {
    const ids = new Set(defined.map((d) => d.id));
    const gone = this.all.filter((f) => !ids.has(f.id));
    const fresh = defined.filter((d) => !this.#funnels.has(d.id));
    for (const funnel of gone) this.#drop(funnel);
    for (const definition of fresh) this.#funnels.set(definition.id, new Funnel(definition));
    for (const definition of defined) {
      if (this.#funnels.get(definition.id).define(definition) && definition.id === this.#chosen) this.#view.show(this.chosen);
    }
    if (!this.chosen) this.choose(wish('funnel', this.all) ?? this.all[0]?.id ?? '');
    this.#follow();
    if (gone.length + fresh.length > 0 || !this.listed) this.#drawList();
    this.listed = true;
    $('no-funnels').hidden = defined.length > 0;
    this.on.changed();
  }

  #drop(funnel) {
    this.watch.remove(subscription(funnel));
    this.#funnels.delete(funnel.id);
  }

  /** Subscribes to what is to be followed and is not. */
  #follow() {
    this.all.forEach((funnel, i) => {
      const id = subscription(funnel);
      const wanted = i < FOLLOWED || funnel.id === this.#chosen;
      if (wanted && !this.watch.has(id)) this.watch.add(id, { funnel: { funnelId: funnel.id } }, this.#handler(funnel));
      else if (!wanted && this.watch.has(id)) this.watch.remove(id);
    });
  }

  #handler(funnel) {
    const take = (notices) => {
      for (const notice of notices) this.on.notice(funnel, notice);
      if (funnel.id === this.#chosen) this.#redraw();
    };
    return {
      snapshot: (message) => take(funnel.snapshot(message)),
      delta: (message) => {
        take(funnel.delta(message, performance.now()));
        this.on.delta(funnel.id, message);
      },
      ended: ({ reason, message }) => {
        funnel.ended = GONE.has(reason) ? 'it was deleted' : message || reason;
        this.#redraw();
      },
    };
  }

  choose(id) {
    this.#chosen = id;
    choice('funnel', id, this.all.length > 1);
    this.#view.show(this.chosen);
    this.#follow();
    this.#drawList();
    this.on.changed();
  }

  /** Buttons to choose from; one funnel needs none. */
  #drawList() {
    $('funnel-list').hidden = this.all.length < 2;
    this.chips = this.all.map((funnel) => {
      const figure = el('span', { className: 'num' });
      const chip = el('button', { type: 'button', className: 'chip' }, el('span', { className: 'name', textContent: funnel.title }), figure);
      chip.setAttribute('aria-pressed', String(funnel.id === this.#chosen));
      chip.addEventListener('click', () => this.choose(funnel.id));
      return { funnel, chip, figure };
    });
    const focused = [...$('funnel-list').children].indexOf(document.activeElement);
    $('funnel-list').replaceChildren(...this.chips.map((c) => c.chip));
    this.chips[focused]?.chip.focus();
    this.#drawFigures();
  }

  #drawFigures() {
    const now = performance.now();
    for (const { funnel, chip, figure } of this.chips ?? []) {
      setText(figure, percent(funnel.reached.at(-1) ?? 0, funnel.reached[0] ?? 0));
      chip.classList.toggle('corrected', now - funnel.correctedAt < 10_000);
    }
  }

  #second() {
    const now = performance.now();
    for (const funnel of this.all) funnel.tick(now);
    this.#view.draw(now);
    this.#drawFigures();
  }

  #sample() {
    for (const funnel of this.all) funnel.sample(this.watch.live);
    this.#view.drawTrend();
  }
}

const subscription = (funnel) => `funnel:${funnel.id}`;
