// The page: what is chosen, and what came of it.

import { STAGES, WAYS, argument } from './stages.js';

const at = (id) => document.getElementById(id);
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const worker = new Worker('./worker.js', { type: 'module' });
const state = { file: null, way: 'regions', stages: [{ name: 'blur', value: 4 }, { name: 'grayscale' }] };
let job = 0;
let soon = null;

worker.onerror = (event) => failed(event.message ?? 'The worker could not be loaded. Has build.sh been run?');
worker.onmessage = ({ data }) => {
  // Only what was asked for last counts.
  if (data.id !== job) return;
  if (data.error) failed(data.error);
  else show(data.result);
};

function failed(message) {
  document.body.dataset.state = 'failed';
  at('message').textContent = message;
}

function run() {
  if (!state.file) return;
  job += 1;
  document.body.dataset.state = 'working';
  at('message').textContent = 'Working …';
  const stages = [['decode', []], ...state.stages.map(({ name, value }) => [name, argument(name, value)]), ['encode', []]];
  worker.postMessage({ id: job, file: state.file, stages, way: state.way });
}

function show({ png, width, height, times }) {
  const url = URL.createObjectURL(new Blob([png], { type: 'image/png' }));
  URL.revokeObjectURL(at('after').src);
  Object.assign(at('after'), { src: url, hidden: false, alt: 'The picture after all stages' });
  Object.assign(at('download'), { href: url, hidden: false });
  at('after-caption').textContent = `After: ${width} × ${height}`;
  const total = times.reduce((sum, [, time]) => sum + time, 0);
  const longest = Math.max(...times.map(([, time]) => time));
  const row = ([name, time]) => element('tr', {}, element('td', { textContent: name }),
    element('td', { className: 'bar' }, element('i', { style: `width: ${(100 * time) / longest}%` })),
    element('td', { textContent: `${time.toFixed(1)} ms` }));
  const sum = element('tr', { className: 'total' }, element('td', { textContent: 'All' }), element('td'),
    element('td', { id: 'total', textContent: `${total.toFixed(1)} ms` }));
  at('times').tBodies[0].replaceChildren(...times.map(row), sum);
  at('message').textContent = '';
  document.body.dataset.state = 'done';
}

/** Lists the stages, with a slider for the number that one takes. */
function list() {
  const item = (stage, index) => {
    const range = STAGES[stage.name];
    const made = element('li', {}, element('b', { textContent: stage.name }));
    if (range) {
      const amount = () => `${stage.value} ${range.unit}`;
      const shown = element('output', { textContent: amount() });
      const slider = element('input', { type: 'range', ...range, value: stage.value, ariaLabel: `${stage.name}: how much` });
      slider.oninput = () => {
        stage.value = Number(slider.value);
        shown.textContent = amount();
        clearTimeout(soon);
        soon = setTimeout(run, 150);
      };
      made.append(slider, shown);
    }
    const remove = element('button', { type: 'button', className: 'remove', textContent: '×', ariaLabel: `Remove ${stage.name}` });
    remove.onclick = () => {
      state.stages.splice(index, 1);
      list();
      run();
    };
    made.append(remove);
    return made;
  };
  const end = (text) => element('li', { className: 'end', textContent: text });
  at('pipeline').replaceChildren(end('decode'), ...state.stages.map(item), end('encode'));
}

for (const [name, range] of Object.entries(STAGES)) {
  const add = element('button', { type: 'button', textContent: name });
  add.onclick = () => {
    state.stages.push({ name, value: range?.value });
    list();
    run();
  };
  at('palette').append(add);
}

for (const [way, [title, about]] of Object.entries(WAYS)) {
  const radio = element('input', { type: 'radio', name: 'way', value: way, checked: way === state.way });
  radio.onchange = () => {
    state.way = way;
    run();
  };
  at('ways').append(element('label', {}, radio, element('div', { textContent: title }), element('span', { textContent: about })));
}

async function open(file, name) {
  URL.revokeObjectURL(at('before').src);
  Object.assign(at('before'), { src: URL.createObjectURL(file), hidden: false, alt: 'The picture as it was' });
  at('before-caption').textContent = `Before: ${name}, ${Math.ceil(file.size / 1024)} KiB`;
  state.file = new Uint8Array(await file.arrayBuffer());
  run();
}

at('file').onchange = ({ target }) => target.files[0] && open(target.files[0], target.files[0].name);
at('sample').onclick = async () => open(await (await fetch('./built/sample.jpg')).blob(), 'rocket.jpg');
const drop = at('drop');
drop.ondragover = (event) => {
  event.preventDefault();
  drop.classList.add('over');
};
drop.ondragleave = () => drop.classList.remove('over');
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  const [file] = event.dataTransfer.files;
  if (file) open(file, file.name);
};
list();
