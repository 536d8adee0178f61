#!/usr/bin/env python3
"""Makes tests/data/parquet: small Parquet files, and beside each a .jsonl with the rows that reading
it must give, written by Python's json module and not read back from the file.

Needs pyarrow 26.0.1 in a virtual environment of its own; the files are committed, so this runs only
to change them: scripts/make_parquet_test_data.py tests/data/parquet
"""

import datetime
import decimal
import json
import math
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

PYARROW_VERSION = '26.0.1'
UTC = datetime.timezone.utc


def json_value(value, kind):
    """What our reader promises for a Python value of an Arrow type."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [json_value(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: json_value(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {str(key): json_value(item, kind.item_type) for key, item in value}
    if pa.types.is_floating(kind):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return format(value, 'f')
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime.datetime):
        fraction = '' if not value.microsecond else f'.{value.microsecond:06}'
        if value.microsecond and value.microsecond % 1000 == 0:
            fraction = fraction[:4]
        zone = 'Z' if kind.tz else ''
        return value.strftime('%Y-%m-%dT%H:%M:%S') + fraction + zone
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value


def write(folder, name, schema, rows, **options):
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, folder / f'{name}.parquet', **options)
    with open(folder / f'{name}.jsonl', 'w', encoding='utf-8', newline='\n') as lines:
        for row in rows:
            values = {field.name: json_value(row.get(field.name), field.type) for field in schema}
            lines.write(json.dumps(values, ensure_ascii=False, separators=(',', ':')) + '\n')


def plain_rows(count):
    words = ['apple', 'böhm', '日本', '', 'a "quoted" \\ word\n\t\r\x01\x7f', '😀 smile']
    return [{'id': i, 'word': words[i % len(words)] if i % 7 else None, 'x': i / 3 - 2,
             'text': f'row {i} ' + 'lorem ipsum ' * (i % 5)} for i in range(count)]


PLAIN = pa.schema([('id', pa.int64()), ('word', pa.string()), ('x', pa.float64()),
                   ('text', pa.string())])


def write_codecs(folder):
    for codec in ['none', 'snappy', 'gzip', 'lz4', 'zstd', 'brotli']:
        write(folder, codec, PLAIN, plain_rows(50), compression=codec, row_group_size=20,
              data_page_version='2.0' if codec in ('zstd', 'lz4') else '1.0',
              write_page_checksum=codec == 'gzip')


def write_types(folder):
    schema = pa.schema([
        ('i8', pa.int8()), ('u8', pa.uint8()), ('i16', pa.int16()), ('u16', pa.uint16()),
        ('i32', pa.int32()), ('u32', pa.uint32()), ('i64', pa.int64()), ('u64', pa.uint64()),
        ('f32', pa.float32()), ('f64', pa.float64()), ('flag', pa.bool_()),
        ('binary', pa.binary()), ('fixed', pa.binary(3)), ('large', pa.large_string()),
        ('date', pa.date32()), ('time', pa.time64('us')), ('ms', pa.timestamp('ms')),
        ('us', pa.timestamp('us', tz='UTC')), ('decimal', pa.decimal128(20, 3)),
        ('wide', pa.decimal256(60, 10)), ('kind', pa.dictionary(pa.int8(), pa.string())),
        ('nothing', pa.null()),
    ])
    moment = datetime.datetime(2024, 7, 26, 12, 34, 56, 789000)
    rows = [
        {'i8': -128, 'u8': 255, 'i16': -32768, 'u16': 65535, 'i32': -2**31, 'u32': 2**32 - 1,
         'i64': -2**63, 'u64': 2**64 - 1, 'f32': 0.25, 'f64': 0.1, 'flag': True,
         'binary': 'bytes é'.encode(), 'fixed': b'abc', 'large': 'long', 'kind': 'red',
         'date': datetime.date(2024, 7, 26), 'time': datetime.time(1, 2, 3, 4), 'ms': moment,
         'us': datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
         'decimal': decimal.Decimal('-12345678901234567.890'),
         'wide': decimal.Decimal('1234567890123456789012345678901234567890.0123456789')},
        {'f32': math.nan, 'f64': math.inf, 'flag': False, 'kind': 'blue'},
        {},
        {'i64': 2**63 - 1, 'u64': 2**53 + 1, 'f32': -1.5e30, 'f64': -math.inf, 'kind': 'red',
         'decimal': decimal.Decimal('0.001'), 'wide': decimal.Decimal('0E-10')},
        {'f64': 1e300, 'f32': 3.0, 'ms': datetime.datetime(1970, 1, 1),
         'us': datetime.datetime(2030, 1, 1, tzinfo=UTC), 'date': datetime.date(1, 1, 1)},
        {'f64': 5e-324}, {'f64': 1.7976931348623157e308}, {'f64': -0.0}, {'f64': 123456789.0},
    ]
    rows = [{field.name: row.get(field.name) for field in schema} for row in rows]
    write(folder, 'types', schema, rows)


def write_nested(folder):
    point = pa.struct([('x', pa.int32()), ('y', pa.list_(pa.string()))])
    schema = pa.schema([
        ('grid', pa.list_(pa.list_(pa.int64()))), ('point', point),
        ('points', pa.list_(point)), ('counts', pa.map_(pa.string(), pa.int64())),
        ('names', pa.map_(pa.int64(), pa.list_(pa.string()))),
    ])
    rows = [
        {'grid': [[1, 2], [], None, [None, 3]], 'point': {'x': 1, 'y': ['a', None]},
         'points': [{'x': None, 'y': None}, None, {'x': 2, 'y': []}],
         'counts': [('a', 1), ('b', None)], 'names': [(7, ['x', 'y'])]},
        {'grid': [], 'point': None, 'points': [], 'counts': [], 'names': []},
        {'grid': None, 'point': {'x': None, 'y': None}, 'points': None, 'counts': None,
         'names': None},
        {'grid': [[]], 'point': {'x': -5, 'y': []}, 'points': [{'x': 0, 'y': ['"\\']}],
         'counts': [('', 0)], 'names': [(-1, None), (0, [])]},
    ] * 5
    write(folder, 'nested', schema, rows, row_group_size=3, compression='snappy')


def write_arc(folder):
    schema = pa.schema([('examples', pa.list_(pa.list_(pa.list_(pa.list_(pa.int64()))))),
                        ('source', pa.string()), ('task_id', pa.string())])

    def grid(seed, height, width):
        return [[(seed * 31 + row * 7 + column * row) % 10 for column in range(width)]
                for row in range(height)]

    rows = [{'examples': [[grid(i + k, 1 + (i + k) % 6, 1 + i % 5), grid(i - k, 2 + k, 3)]
                          for k in range(2 + i % 3)],
             'source': f'def transform(grid):\n    return grid  # {i}\n',
             'task_id': f'task-{i:04}'} for i in range(30)]
    write(folder, 'arc', schema, rows, row_group_size=8, compression='zstd', data_page_size=512)


def main():
    if pa.__version__ != PYARROW_VERSION:
        sys.exit(f'pyarrow {pa.__version__} would make other bytes: install pyarrow=={PYARROW_VERSION}')
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_codecs(folder)
    write_types(folder)
    write_nested(folder)
    write_arc(folder)
    write(folder, 'empty', PLAIN, [])
    write(folder, 'no_columns', pa.schema([]), [])


if __name__ == '__main__':
    main()
