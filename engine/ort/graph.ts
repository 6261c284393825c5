/** ONNX graphs as they are built here: nodes in order, weights beside the model. Field numbers from the schema of ONNX 1.16 (onnx.proto). */
import { encode, type Field, type Message, message } from './protobuf.js';

/** Name of a value inside a graph. */
export type Value = string;
export type ElementType = 'f32' | 'i64' | 'bool';
/** A size, or the name of one that is known only when the graph runs. */
export type Dimension = number | string;
export type Attribute = number | string | readonly number[];

/** A model ready for a session, and the bytes of its weights, which the model only names. */
export interface BuiltGraph {
  readonly model: Uint8Array;
  readonly weights: readonly { readonly path: string; readonly data: Float32Array }[];
}

export interface GraphBuilder {
  input(name: string, type: ElementType, shape: readonly Dimension[]): Value;
  /** f32, row-major; its bytes stay outside of the model, where 2 GB are no limit. */
  weight(name: string, data: Float32Array, shape: readonly number[]): Value;
  /** An f32 scalar. */
  scalar(value: number): Value;
  /** An i64 vector: shapes and axes. */
  ints(...values: readonly number[]): Value;
  /** An i64 scalar. */
  int(value: number): Value;
  /** An operator with one result. Numeric attributes that are floats carry a trailing `:f` in their name. */
  node(operator: string, inputs: readonly Value[], attributes?: Readonly<Record<string, Attribute>>): Value;
  /** An operator with several results. */
  nodes(
    operator: string,
    inputs: readonly Value[],
    outputs: number,
    attributes?: Readonly<Record<string, Attribute>>,
  ): Value[];
  output(name: string, value: Value, type: ElementType, shape: readonly Dimension[]): void;
  build(): BuiltGraph;
}

/** Opset 20 brought Gelu; IR 9 belongs to it. */
const OPSET = 20;
const IR_VERSION = 9;

const elementTypes: Readonly<Record<ElementType, number>> = { f32: 1, i64: 7, bool: 9 };
const EXTERNAL = 1;

export const createGraph = (name: string): GraphBuilder => {
  const nodes: Message[] = [];
  const inputs: Message[] = [];
  const outputs: Message[] = [];
  const constants = new Map<string, { readonly name: Value; readonly tensor: Message }>();
  const external: Message[] = [];
  const weights: { path: string; data: Float32Array }[] = [];
  let next = 0;
  const fresh = (): Value => `v${next++}`;

  const constant = (type: ElementType, shape: readonly number[], bytes: Uint8Array): Value => {
    const key = `${type}:${shape.join(',')}:${Buffer.from(bytes).toString('hex')}`;
    const known = constants.get(key);
    if (known !== undefined) return known.name;
    const made = `c${constants.size}`;
    constants.set(key, { name: made, tensor: tensorOf(made, type, shape, [9, { bytes }]) });
    return made;
  };

  const graph: GraphBuilder = {
    input(inputName, type, shape) {
      inputs.push(valueInfo(inputName, type, shape));
      return inputName;
    },
    weight(weightName, data, shape) {
      weights.push({ path: weightName, data });
      const entries = Object.entries({ location: weightName, offset: '0', length: String(data.byteLength) });
      const messages = entries.map(([key, value]) => message([1, { text: key }], [2, { text: value }]));
      external.push(tensorOf(weightName, 'f32', shape, [13, { messages }], [14, { int: EXTERNAL }]));
      return weightName;
    },
    scalar: (value) => constant('f32', [], new Uint8Array(Float32Array.of(value).buffer)),
    ints: (...values) => constant('i64', [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer)),
    int: (value) => constant('i64', [], new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)),
    node: (operator, from, attributes) => graph.nodes(operator, from, 1, attributes)[0]!,
    nodes(operator, from, count, attributes = {}) {
      const made = Array.from({ length: count }, fresh);
      nodes.push(
        message(
          [1, { texts: from }],
          [2, { texts: made }],
          [4, { text: operator }],
          [5, { messages: Object.entries(attributes).map(attributeOf) }],
        ),
      );
      return made;
    },
    output(outputName, value, type, shape) {
      nodes.push(message([1, { texts: [value] }], [2, { texts: [outputName] }], [4, { text: 'Identity' }]));
      outputs.push(valueInfo(outputName, type, shape));
    },
    build() {
      const body = message(
        [1, { messages: nodes }],
        [2, { text: name }],
        [5, { messages: [...[...constants.values()].map(({ tensor }) => tensor), ...external] }],
        [11, { messages: inputs }],
        [12, { messages: outputs }],
      );
      const model = encode(
        message(
          [1, { int: IR_VERSION }],
          [2, { text: 'winnow' }],
          [7, { message: body }],
          [8, { message: message([1, { text: '' }], [2, { int: OPSET }]) }],
        ),
      );
      return { model, weights };
    },
  };
  return graph;
};

const tensorOf = (name: string, type: ElementType, shape: readonly number[], ...content: readonly Field[]): Message =>
  message([1, { ints: shape }], [2, { int: elementTypes[type] }], [8, { text: name }], ...content);

const valueInfo = (name: string, type: ElementType, shape: readonly Dimension[]): Message => {
  const dimensions = shape.map((size) =>
    typeof size === 'number' ? message([1, { int: size }]) : message([2, { text: size }]),
  );
  const tensor = message([1, { int: elementTypes[type] }], [2, { message: message([1, { messages: dimensions }]) }]);
  return message([1, { text: name }], [2, { message: message([1, { message: tensor }]) }]);
};

const attributeTypes = { float: 1, int: 2, text: 3, ints: 7 } as const;

const attributeOf = ([key, value]: [string, Attribute]): Message => {
  const isFloat = key.endsWith(':f');
  const name = isFloat ? key.slice(0, -2) : key;
  const [content, type]: [Field, number] =
    typeof value === 'string'
      ? [[4, { text: value }], attributeTypes.text]
      : typeof value !== 'number'
        ? [[8, { ints: value }], attributeTypes.ints]
        : isFloat
          ? [[2, { float: value }], attributeTypes.float]
          : [[3, { int: value }], attributeTypes.int];
  return message([1, { text: name }], content, [20, { int: type }]);
};
