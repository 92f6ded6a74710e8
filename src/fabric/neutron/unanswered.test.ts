import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { noAnswer, refused } from '../../openstack/failure.ts';
import { HttpFailure } from '../../openstack/http.ts';
import { leftToLook, mayYetBeDone, wasNotDone } from './unanswered.ts';

const asked = (service: 'Neutron' | 'Keystone', method: string) => ({
  service,
  method,
  url: new URL('http://cloud/v2.0/networks'),
});
const answers = (service: 'Neutron' | 'Keystone', status: number, method = 'POST') =>
  refused(asked(service, method), { status, headers: {}, text: '' });
const silence = (service: 'Neutron' | 'Keystone', sent: boolean) =>
  noAnswer(asked(service, 'POST'), new HttpFailure('silent', 'nothing', sent));

describe('what has failed', () => {
  it('was not done when Neutron refuses it, or does not hear of it', () => {
    for (const error of [answers('Neutron', 409), answers('Neutron', 503), silence('Neutron', false)])
      assert.deepEqual([wasNotDone(error), mayYetBeDone(error)], [true, false], error.message);
  });

  it('may have been done when Neutron, or a proxy, does not know itself', () => {
    assert.deepEqual([wasNotDone(answers('Neutron', 500)), mayYetBeDone(answers('Neutron', 500))], [false, false]);
    for (const error of [answers('Neutron', 502), answers('Neutron', 504), silence('Neutron', true)])
      assert.deepEqual([wasNotDone(error), mayYetBeDone(error)], [false, true], error.message);
  });

  it('was not done when Keystone lets nobody come to Neutron, whatever it says', () => {
    const nowhere = new BerthError('OPENSTACK_NO_ENDPOINT', 'there is no such region');
    for (const error of [answers('Keystone', 500), answers('Keystone', 401), silence('Keystone', true), nowhere])
      assert.deepEqual([wasNotDone(error), mayYetBeDone(error)], [true, false], error.message);
  });

  it('may have been done when nothing is known of it', () => {
    assert.equal(wasNotDone(new Error('the disk is full')), false);
    assert.equal(mayYetBeDone(new Error('the disk is full')), false);
  });
});

it('is looked for as long as Neutron may be at it, from when it is back', () => {
  assert.equal(leftToLook({}, 1000, 5000), undefined);
  const record = { unanswered: 5000 };
  assert.equal(leftToLook(record, 1000, 8000), 1000);
  assert.equal(leftToLook(record, 1000, 8400), 600);
  assert.equal(leftToLook(record, 1000, 9000), undefined);
  // The clock was set back.
  assert.equal(leftToLook(record, 1000, 4000), 1000);
});
