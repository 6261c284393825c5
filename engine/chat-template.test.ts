import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { compileChatTemplate } from './chat-template.js';

const specials = { bos: '<s>', eos: '</s>' };
const chatml =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const bracketed =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + (m.content | trim) + ' [/INST]' }}{% else %}{{ raise_exception('no ' + m.role) }}{% endif %}{% endfor %}";

suite('compileChatTemplate', () => {
  test('head and turn stand around the text, and the default system prompt of the template stays', () => {
    const template = compileChatTemplate('x', chatml, specials);
    assert.deepEqual(template.split(undefined), {
      head: '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n',
      turn: '<|im_end|>\n<|im_start|>assistant\n',
    });
  });

  test('a system text takes the place of the default one', () => {
    const { head } = compileChatTemplate('x', chatml, specials).split('Count.');
    assert.equal(head, '<|im_start|>system\nCount.<|im_end|>\n<|im_start|>user\n');
  });

  test('head + text + turn is what the template renders', () => {
    const template = compileChatTemplate('x', chatml, specials);
    const { head, turn } = template.split(undefined);
    assert.equal(template.render([{ role: 'user', content: 'Hi {{ there }}' }]), `${head}Hi {{ there }}${turn}`);
  });

  test('special strings of the tokenizer reach the template', () => {
    assert.deepEqual(compileChatTemplate('x', bracketed, specials).split(undefined), {
      head: '<s>[INST] ',
      turn: ' [/INST]',
    });
  });

  test('a date in a template is always the same', () => {
    const dated =
      "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }}|{{ strftime_now('%Y') }}|{{ messages[0].content }}";
    assert.equal(compileChatTemplate('x', dated, specials).split(undefined).head, '26 Jul 2024|26 Jul 2024|');
  });

  const broken: [string, string, RegExp][] = [
    ['a template that does not parse', '{% for x in %}', /a Jinja template/],
    ['a template that drops the text', 'Hello', /exactly once, got "0 times"/],
    [
      'a template that repeats the text',
      '{{ messages[0].content }}{{ messages[0].content }}',
      /exactly once, got "2 times"/,
    ],
  ];
  for (const [what, source, message] of broken) {
    test(`${what} is ERR_MODEL_FORMAT`, () => {
      assert.throws(() => compileChatTemplate('x', source, specials).split(undefined), {
        code: 'ERR_MODEL_FORMAT',
        message,
      });
    });
  }

  test('where there is no system role, the system text stands before the text of the user', () => {
    const refusing = compileChatTemplate('x', bracketed, specials);
    assert.deepEqual(refusing.split('Count.'), { head: '<s>[INST] Count.\n\n', turn: ' [/INST]' });
    const dropping = "{% for m in messages %}{% if m.role == 'user' %}{{ '<u>' + m.content }}{% endif %}{% endfor %}";
    assert.deepEqual(compileChatTemplate('x', dropping, specials).split('Count.'), { head: '<u>Count.\n\n', turn: '' });
  });

  test("the template's own complaint is passed on", () => {
    const template = compileChatTemplate('x', "{{ raise_exception('no ' + messages[0].role) }}", specials);
    assert.throws(() => template.split('Count.'), { code: 'ERR_MODEL_FORMAT', message: /no user/ });
  });
});

suite('templates of strangers', () => {
  const hostile: [string, string, RegExp][] = [
    ['counts to a billion', '{% for i in range(1000000) %}x{% endfor %}', /range\(\) of more than/],
    [
      'nests loops',
      '{% for a in range(9999) %}{% for b in range(999) %}{% for c in range(99) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}',
      // Whichever limit a loaded machine meets first: steps or time.
      /more than \d+|timed out/,
    ],
    [
      'doubles a text',
      '{% set ns = namespace(t="x") %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}',
      /a text of more than/,
    ],
    ['indents by a hundred million', '{{ messages | tojson(indent=100000000) }}', /a number beyond/],
    ['calls itself', '{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}', /stack|steps/i],
  ];
  for (const [what, source, message] of hostile) {
    test(`one that ${what} is ERR_MODEL_FORMAT within three seconds`, () => {
      const start = performance.now();
      const { render } = compileChatTemplate('x', source, {});
      assert.throws(() => render([{ role: 'user', content: 'a' }]), { code: 'ERR_MODEL_FORMAT', message });
      assert.ok(performance.now() - start < 3_000);
    });
  }
});
