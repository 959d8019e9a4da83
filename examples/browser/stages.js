// What there is to choose from. `decode` and `encode` are at the ends of every pipeline.

/** Stages, and the one number that some take. */
export const STAGES = {
  grayscale: null,
  blur: { min: 1, max: 30, step: 1, value: 4, unit: 'px' },
  sharpen: { min: 0, max: 5, step: 0.5, value: 1, unit: '' },
  edges: null,
  resize: { min: 10, max: 200, step: 10, value: 50, unit: '%' },
};

export const argument = (name, value) => (name === 'resize' ? [`${value}%`] : STAGES[name] ? [String(value)] : []);

export const WAYS = {
  regions: ['Regions', 'One region, mapped into each stage\'s memory by mappable-js-host'],
  portable: ['Portable components', 'Regions inside each component, lists between: any host will do'],
  lists: ['Lists', 'The same stages without regions, for comparison'],
};
