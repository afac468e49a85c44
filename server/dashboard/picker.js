// A text field with suggestions (an ARIA combobox): type, choose with the arrow keys or a click, or keep what was typed.

import { el, setText } from './dom.js';

const WAIT_MS = 80;
let count = 0;

export class Picker {
  #list;
  #options = [];
  #active = -1;
  #timer = 0;
  #asked = 0;

  /**
   * @param {object} how `suggest(text)` resolves to [{value, detail}]; `picked(value)` when one was chosen or a text was confirmed;
   *   `label` and `placeholder`
   */
  constructor({ suggest, picked, label, placeholder = '', value = '' }) {
    Object.assign(this, { suggest, picked });
    count += 1;
    const listId = `picker-${count}`;
    this.#list = el('ul', { className: 'options', id: listId, role: 'listbox', ariaLabel: label, hidden: true });
    this.input = el('input', {
      type: 'text', role: 'combobox', ariaLabel: label, ariaAutoComplete: 'list', ariaExpanded: 'false', autocomplete: 'off', spellcheck: false,
      placeholder, value,
    });
    this.input.setAttribute('aria-controls', listId);
    this.root = el('span', { className: 'picker' }, this.input, this.#list);
    this.input.addEventListener('input', () => this.#later());
    this.input.addEventListener('focus', () => this.#later());
    this.input.addEventListener('keydown', (event) => this.#key(event));
    this.input.addEventListener('blur', () => this.#left());
    // The field keeps the focus, so that a click on a suggestion does not leave it first.
    this.#list.addEventListener('pointerdown', (event) => event.preventDefault());
  }

  get value() {
    return this.input.value.trim();
  }

  set value(text) {
    this.input.value = text;
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), WAIT_MS);
  }

  async #look() {
    this.#asked += 1;
    const asked = this.#asked;
    let options = [];
    try {
      options = await this.suggest(this.value);
    } catch {
      // Without suggestions it is a plain field.
    }
    if (asked === this.#asked && this.input.matches(':focus')) this.#show(options);
  }

  #show(options) {
    this.#options = options.filter((option) => option.value !== this.value || options.length > 1);
    const node = ({ value, detail }, i) => {
      const item = el('li', { id: `${this.#list.id}-${i}`, role: 'option', ariaSelected: 'false' },
        el('span', { className: 'name', textContent: value }), el('span', { className: 'muted num', textContent: detail }));
      item.addEventListener('click', () => this.#choose(i));
      return item;
    };
    this.#list.replaceChildren(...this.#options.map(node));
    this.#open(this.#options.length > 0);
    this.#activate(-1);
  }

  #open(open) {
    this.#list.hidden = !open;
    this.input.ariaExpanded = String(open);
  }

  #activate(at) {
    this.#active = at;
    [...this.#list.children].forEach((item, i) => { item.ariaSelected = String(i === at); });
    this.#list.children[at]?.scrollIntoView({ block: 'nearest' });
    if (at < 0) this.input.removeAttribute('aria-activedescendant');
    else this.input.setAttribute('aria-activedescendant', this.#list.children[at].id);
  }

  #choose(at) {
    this.value = this.#options[at].value;
    this.#confirm();
  }

  /** Takes what stands there. */
  #confirm() {
    this.close();
    this.picked(this.value);
  }

  close() {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.#open(false);
  }

  #key(event) {
    const open = !this.#list.hidden;
    const last = this.#options.length - 1;
    if (event.key === 'ArrowDown' && !open) this.#later();
    else if (event.key === 'ArrowDown') this.#activate(this.#active >= last ? 0 : this.#active + 1);
    else if (event.key === 'ArrowUp' && open) this.#activate(this.#active <= 0 ? last : this.#active - 1);
    else if (event.key === 'Enter' && open && this.#active >= 0) this.#choose(this.#active);
    else if (event.key === 'Enter') this.#confirm();
    else if (event.key === 'Escape' && open) this.close();
    else return;
    // Enter must not send the form, Escape not close the dialog, while the list is open.
    event.preventDefault();
    event.stopPropagation();
  }

  #left() {
    this.close();
    if (this.value) this.picked(this.value);
  }
}

/** Several values, each with a button that takes it away, and a picker that adds one. */
export class Tokens {
  #values;
  #items = el('span', { className: 'tokens' });

  /** @param {object} how as of a picker; and `values` to begin with, `unseen(value)` resolves to {name, nearest} or null, `changed()` */
  constructor({ values = [], unseen, changed = () => {}, label, ...how }) {
    Object.assign(this, { unseen, changed, label });
    this.#values = [...values];
    this.picker = new Picker({ ...how, label, picked: (value) => this.#add(value) });
    this.warnings = el('span', { className: 'warnings', role: 'status' });
    this.root = el('span', { className: 'field-tokens' }, el('span', { className: 'token-row' }, this.#items, this.picker.root), this.warnings);
    this.picker.input.addEventListener('keydown', (event) => {
      if (event.key === 'Backspace' && this.picker.input.value === '' && this.#values.length > 0) this.#remove(this.#values.at(-1));
    });
    this.#draw();
  }

  /** What is chosen, and what still stands in the field. */
  get values() {
    const typed = this.picker.value;
    return typed && !this.#values.includes(typed) ? [...this.#values, typed] : [...this.#values];
  }

  #add(value) {
    if (!value) return;
    this.picker.value = '';
    if (!this.#values.includes(value)) this.#values = [...this.#values, value];
    this.#draw();
  }

  #remove(value) {
    this.#values = this.#values.filter((one) => one !== value);
    this.#draw();
    this.picker.input.focus();
  }

  replace(from, to) {
    this.#values = [...new Set(this.#values.map((value) => (value === from ? to : value)))];
    this.#draw();
  }

  #draw() {
    this.#items.replaceChildren(...this.#values.map((value) => {
      const remove = el('button', { type: 'button', className: 'token-remove', ariaLabel: `Remove ${value}`, textContent: '×' });
      remove.addEventListener('click', () => this.#remove(value));
      return el('span', { className: 'token' }, el('span', { textContent: value }), remove);
    }));
    this.#warn();
    this.changed();
  }

  async #warn() {
    const values = this.#values;
    const checks = this.unseen ? await Promise.all(values.map((value) => this.unseen(value).catch(() => null))) : [];
    if (values !== this.#values) return; // Others are chosen by now, and looked at on their own.
    this.warnings.replaceChildren(...checks.filter(Boolean).map((warning) => warningOf(warning, (name) => this.replace(warning.name, name))));
  }
}

/** "“chekout” was never seen. Did you mean “checkout”?", with a button that takes it. */
export function warningOf({ name, nearest }, use) {
  const note = el('span', { className: 'note warn' }, `“${name}” was never seen.`);
  if (!nearest) return note;
  const button = el('button', { type: 'button', className: 'link', textContent: `Use “${nearest}”` });
  button.addEventListener('click', () => use(nearest));
  setText(note, `“${name}” was never seen; the nearest is “${nearest}”. `);
  note.append(button);
  return note;
}
