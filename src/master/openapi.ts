/** The API as an OpenAPI document (https://spec.openapis.org/oas/v3.1.0), made from the table of kinds. */

import type { Field } from '../model/objects/field.ts';
import type { Kind } from '../model/objects/kind.ts';
import { kinds } from '../model/objects/kinds.ts';
import { version } from '../model/version.ts';

type Schema = Readonly<Record<string, unknown>>;

function fieldSchema(field: Field): Schema {
  const description = `${field.help} (${field.values})`;
  switch (field.type) {
    case 'text':
      return {
        type: 'string',
        description,
        ...(field.pattern === undefined ? {} : { pattern: field.pattern.source }),
        ...(field.longest === undefined ? {} : { maxLength: field.longest }),
        ...(field.standard === undefined ? {} : { default: field.standard }),
      };
    case 'integer':
      return { type: 'integer', description, minimum: field.least, maximum: field.most, default: field.standard ?? 0 };
    case 'texts':
      return { type: 'array', description, items: { type: 'string', maxLength: field.longest } };
  }
}

function objectSchema(kind: Kind): Schema {
  return {
    type: 'object',
    description: kind.notInForce === undefined ? kind.summary : `${kind.summary} Not in force yet: ${kind.notInForce}.`,
    properties: {
      key: { type: 'string', description: `${kind.key.join(':')}` },
      ...Object.fromEntries(Object.entries(kind.fields).map(([name, field]) => [name, fieldSchema(field)])),
      ...(kind.linkSets ? { 'link-sets': { type: 'object', readOnly: true } } : {}),
      ...(kind.links.length > 0 ? { links: { type: 'object', readOnly: true } } : {}),
    },
    additionalProperties: false,
  };
}

const json = (schema: Schema) => ({ 'application/json': { schema } });
const refused = { $ref: '#/components/responses/Refused' };
const etag = { ETag: { schema: { type: 'string' }, description: 'The revision of the object.' } };
const header = (name: string, description: string): Schema => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
});
const query = (name: string, description: string): Schema => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string' },
});
const ifMatch = header('If-Match', 'The ETag that the object must have, or * when it must exist.');
const ifNoneMatch = header('If-None-Match', '* when the object must not exist.');

function kindPaths(kind: Kind): Readonly<Record<string, Schema>> {
  const schema = { $ref: `#/components/schemas/${kind.name}` };
  const key = { name: 'key', in: 'path', required: true, schema: { type: 'string' }, description: kind.key.join(':') };
  const tags = [kind.path];
  const write = (operationId: string) => ({
    operationId,
    tags,
    summary: `Make or change it. ${kind.summary}`,
    parameters: [ifMatch, ifNoneMatch],
    requestBody: { required: true, content: json(schema) },
    responses: { 200: { description: 'As it is now.', headers: etag, content: json(schema) }, default: refused },
  });
  const inspected = {
    type: 'object',
    properties: { Config: schema, ...(kind.oper ? { Oper: { type: 'object' } } : {}) },
  };
  return {
    [`/api/v1/${kind.path}/`]: {
      get: {
        operationId: `list_${kind.path}`,
        tags,
        summary: 'List them, in the order of their keys.',
        parameters: [
          query('tenant', 'Only those of this tenant.'),
          query('limit', 'At most so many; the header Berth-More then has the last key.'),
          query('after', 'Only those whose keys come after this one.'),
        ],
        responses: {
          200: { description: 'All of them.', content: json({ type: 'array', items: schema }) },
          default: refused,
        },
      },
    },
    [`/api/v1/${kind.path}/{key}/`]: {
      parameters: [key],
      get: {
        operationId: `get_${kind.name}`,
        tags,
        summary: kind.summary,
        responses: { 200: { description: 'As it is.', headers: etag, content: json(schema) }, default: refused },
      },
      post: write(`post_${kind.name}`),
      put: write(`put_${kind.name}`),
      delete: {
        operationId: `delete_${kind.name}`,
        tags,
        summary: 'Delete it.',
        parameters: [ifMatch],
        responses: { 200: { description: 'Its key.', content: json({ type: 'string' }) }, default: refused },
      },
    },
    [`/api/v1/inspect/${kind.path}/{key}/`]: {
      parameters: [key],
      get: {
        operationId: `inspect_${kind.name}`,
        tags,
        summary: kind.oper ? 'Its configuration and its state.' : 'Its configuration.',
        responses: { 200: { description: 'Both.', headers: etag, content: json(inspected) }, default: refused },
      },
    },
  };
}

function told(operationId: string, summary: string, schema: Schema, parameters: readonly Schema[] = []): Schema {
  return {
    get: {
      operationId,
      summary,
      parameters,
      responses: { 200: { description: summary, content: json(schema) }, default: refused },
    },
  };
}

const watchParameters = [
  query('kind', 'Only objects of this kind, as in the paths: networks.'),
  query('tenant', 'Only those of this tenant.'),
  query('after', 'The revision whose successors are wanted; without it all there is comes first.'),
];

/** The document that `/api/v1/openapi.json` serves. */
export function openApi(): Schema {
  const all = [...kinds.values()];
  return {
    openapi: '3.1.0',
    info: {
      title: 'Berth',
      version,
      description:
        "The API of a cluster: Contiv's objects at Contiv's paths, with real statuses, revisions and a stream of changes.",
    },
    security: [{}, { token: [] }],
    paths: {
      ...Object.assign({}, ...all.map(kindPaths)),
      '/api/v1/endpoints/': told('list_endpoints', 'Containers on networks.', {
        type: 'array',
        items: { type: 'object' },
      }),
      '/api/v1/inspect/endpoints/{key}/': {
        parameters: [
          {
            name: 'key',
            in: 'path',
            required: true,
            schema: { type: 'string' },
            description: 'Part of its id, or of its container’s id or name.',
          },
        ],
        ...told('inspect_endpoint', 'One of them.', { type: 'object', properties: { Oper: { type: 'object' } } }),
      },
      '/api/v1/watch/': {
        get: {
          operationId: 'watch',
          summary: 'What there is, and each change as it comes: a JSON object per line, until the client goes.',
          parameters: watchParameters,
          responses: {
            200: { description: 'Lines.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } },
            default: refused,
          },
        },
      },
      '/api/v1/status/': told('status', 'What is stored, and what of it is in force.', { type: 'object' }),
      '/version': told('version', 'The version of the master.', { type: 'object' }),
    },
    components: {
      schemas: Object.fromEntries(all.map((kind) => [kind.name, objectSchema(kind)])),
      responses: {
        Refused: {
          description: 'What is wrong, in one line; the header Berth-Error has the code of the catalogue of errors.',
          content: {
            'text/plain': { schema: { type: 'string' } },
            'application/problem+json': { schema: { type: 'object' } },
          },
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}
