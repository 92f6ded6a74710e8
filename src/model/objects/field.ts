/**
 * Fields of the cluster's objects: their types, what values they take, and the sentences of Contiv's generated validators
 * (contivmodel/contivModel.go), which programs compare.
 */

import { BerthError } from '../errors.ts';
import { nearest } from '../nearest.ts';

export type FieldValue = string | number | readonly string[];

/** The configuration of an object: every field of its kind, those that were not given with the zero value of their type. */
export type Config = Readonly<Record<string, FieldValue>>;

interface Common {
  /** One sentence for the reference. */
  readonly help: string;
  /** What it may be, for the reference. */
  readonly values: string;
}

export interface TextField extends Common {
  readonly type: 'text';
  readonly pattern?: RegExp;
  /** Where a pattern would not do. */
  readonly check?: (value: string) => boolean;
  /** Characters, at most. */
  readonly longest?: number;
  readonly standard?: string;
}

export interface IntegerField extends Common {
  readonly type: 'integer';
  readonly least: number;
  readonly most: number;
  readonly standard?: number;
}

export interface TextsField extends Common {
  readonly type: 'texts';
  /** Of each, characters at most. */
  readonly longest: number;
}

export type Field = TextField | IntegerField | TextsField;
export type Fields = Readonly<Record<string, Field>>;

const LABEL = '([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
export const IPV4 = `${OCTET}(\\.${OCTET}){3}`;
const NAME = new RegExp(`^(${LABEL}\\.)*${LABEL}$`);
const NAME_OR_EMPTY = new RegExp(`^((${LABEL}\\.)*${LABEL})?$`);

/** A list has this many elements at most; Contiv knew no limit. */
const MOST_ELEMENTS = 1000;

/** Keys that every object of the API bears and that a client may send back. */
const BORNE = ['key', 'link-sets', 'links'];

/** A name as RFC 1123 has it, with dots: letters, digits and hyphens. */
export function nameField(help: string, longest = 64): TextField {
  return { type: 'text', pattern: NAME, longest, values: `a name of up to ${longest} letters, digits, - and .`, help };
}

export function optionalNameField(help: string, longest = 64): TextField {
  return {
    type: 'text',
    pattern: NAME_OR_EMPTY,
    longest,
    values: `a name of up to ${longest} characters, or empty`,
    help,
  };
}

export function choiceField(choices: readonly string[], help: string, standard?: string): TextField {
  const pattern = new RegExp(`^(${choices.join('|')})$`);
  const values = choices.filter((choice) => choice !== '').join(', ');
  return { type: 'text', pattern, values, help, ...(standard === undefined ? {} : { standard }) };
}

/** Names of other objects in a list. */
export function namesField(help: string): TextsField {
  return { type: 'texts', longest: 256, values: 'a list of names', help };
}

function invalid(sentence: string): BerthError {
  return new BerthError('OBJECT_INVALID', sentence);
}

/** What Go's encoding/json calls a value of this type. */
function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The types of a body's fields, nothing more: a value that is absent or null is the zero of its type, as in Go. */
function readValue(name: string, field: Field, value: unknown): FieldValue {
  switch (field.type) {
    case 'text':
      if (value === undefined || value === null) return '';
      if (typeof value !== 'string') throw invalid(`${name} must be a string, not ${typeName(value)}`);
      if (!value.isWellFormed()) throw invalid(`${name} string invalid format`);
      return value;
    case 'integer':
      if (value === undefined || value === null) return 0;
      if (typeof value !== 'number') throw invalid(`${name} must be a number, not ${typeName(value)}`);
      if (!Number.isSafeInteger(value)) throw invalid(`${name} must be a whole number, not ${value}`);
      return value;
    case 'texts':
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) throw invalid(`${name} must be a list of strings, not ${typeName(value)}`);
      if (value.length > MOST_ELEMENTS) throw invalid(`${name} has more than ${MOST_ELEMENTS} elements`);
      for (const element of value) {
        if (typeof element !== 'string')
          throw invalid(`${name} must be a list of strings, not of ${typeName(element)}`);
        if (!element.isWellFormed()) throw invalid(`${name} string invalid format`);
      }
      return value as string[];
  }
}

/**
 * The fields of a body, each of the right type.
 *
 * @throws BerthError OBJECT_INVALID for a wrong type, and for a field that the kind does not have: a misspelt one would be
 *   without effect, and nobody would notice.
 */
export function readFields(type: string, fields: Fields, body: Readonly<Record<string, unknown>>): Config {
  for (const name of Object.keys(body)) {
    if (Object.hasOwn(fields, name) || BORNE.includes(name)) continue;
    const [meant] = nearest(name.slice(0, 64), Object.keys(fields));
    throw invalid(`${type} has no field ${shorten(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
  }
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, readValue(name, field, body[name])]));
}

/**
 * The fields with their defaults, after each has been checked, in the order of their names as Contiv does.
 *
 * @throws BerthError OBJECT_INVALID
 */
export function checkFields(fields: Fields, config: Config): Config {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, checkValue(name, field, config[name]!)]),
  );
}

function checkValue(name: string, field: Field, given: FieldValue): FieldValue {
  switch (field.type) {
    case 'text': {
      const value = given === '' ? (field.standard ?? '') : (given as string);
      if (field.longest !== undefined && value.length > field.longest) throw invalid(`${name} string too long`);
      if (field.pattern?.test(value) === false || field.check?.(value) === false) {
        throw invalid(`${name} string invalid format`);
      }
      return value;
    }
    case 'integer': {
      const value = given === 0 ? (field.standard ?? 0) : (given as number);
      if (value < field.least || value > field.most) throw invalid(`${name} Value Out of bound`);
      return value;
    }
    case 'texts': {
      const value = given as readonly string[];
      if (value.some((element) => element.length > field.longest)) throw invalid(`${name} string too long`);
      return value;
    }
  }
}

/** A value for a message, which must not repeat a megabyte. */
export function shorten(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Contiv takes any text for the name of a profile; what could not stand in a key or a path is refused here. */
export function profileNameField(help: string, mayBeEmpty = false): TextField {
  return {
    type: 'text',
    longest: 64,
    check: (value) => (mayBeEmpty || value !== '') && !/[\p{Cc}:/]/u.test(value),
    values: `a name of up to 64 characters${mayBeEmpty ? ', or empty' : ''}`,
    help,
  };
}
