-- A page of SQL that reaches into many corners of the library. Every answer is fixed.

create table author(id integer primary key, name text not null collate nocase unique, born int check (born > 0));
create table book(
    id integer primary key,
    author int references author(id) on delete cascade,
    title text not null,
    year int,
    price numeric(6, 2) default 9.5,
    century int generated always as ((year - 1) / 100 + 1) stored
);
create index book_year on book(year desc, title);
create unique index book_title on book(lower(title)) where year is not null;
create table log(step integer primary key, what text);

create trigger book_added after insert on book begin
    insert into log(what) values (printf('added %s (%d)', new.title, new.year));
end;
create trigger book_changed after update of price on book when old.price <> new.price begin
    insert into log(what) values (format('%s: %.2f -> %.2f', new.title, old.price, new.price));
end;

pragma foreign_keys = on;
insert into author(name, born) values ('Ada', 1815), ('Blaise', 1623), ('Carl', 1777), ('Émilie', 1706), ('Nobody', 1);
insert into book(author, title, year, price) values
    (1, 'Notes', 1843, 12.25), (2, 'Pensées', 1670, 7), (2, 'Triangle', 1654, 5.5),
    (3, 'Disquisitiones', 1801, 31.4), (3, 'Theoria', 1809, 28), (4, 'Institutions', 1740, 19.99);
insert into book(author, title, year) values (4, 'Principia', 1756);

-- joins, grouping, having, ordering, collation
select a.name, count(b.id), sum(b.price), group_concat(b.title, ', ' order by b.year)
    from author a left join book b on b.author = a.id group by a.id order by count(b.id) desc, a.name;
select century, count(*), round(avg(price), 3), min(title), max(year) from book group by century having count(*) > 1;
select name from author where name = 'ADA' or name like 'b%' or name glob '?mil*' order by name desc;
select a.name, b.name from author a join author b on a.born < b.born where abs(a.born - b.born) < 100 order by 1, 2;
select name from author a where not exists (select 1 from book where author = a.id);
select title from book where year between 1700 and 1805 intersect select title from book where price > 19
    union select 'last' order by 1;
select a.name, b.title from book b right join author a on b.author = a.id where b.year is null or b.year < 1660
    order by a.name;

-- window functions
select title, year, row_number() over w, rank() over (order by century), lag(title, 1, '-') over w,
    round(sum(price) over (order by year rows between 1 preceding and current row), 2)
    from book window w as (order by year) order by year;
select title, ntile(3) over (order by price), percent_rank() over (order by price),
    first_value(title) over (partition by author order by price desc),
    count(*) filter (where price > 10) over (partition by author) from book order by id;
with n(v) as (values (1), (2), (2), (4), (7))
    select v, dense_rank() over (order by v), cume_dist() over (order by v),
    sum(v) over (order by v range between 2 preceding and 1 following exclude current row),
    group_concat(v, '-') over (order by v groups between 1 preceding and 1 following) from n;

-- common table expressions
with recursive fib(n, a, b) as (select 1, 0, 1 union all select n + 1, b, a + b from fib where n < 30)
    select n, a from fib where n % 5 = 0;
with recursive collatz(n) as (values (27) union all
    select case when n % 2 then 3 * n + 1 else n / 2 end from collatz where n <> 1)
    select count(*), max(n), sum(n) from collatz;
with recursive
    axis(x) as (select -2.0 union all select x + 0.125 from axis where x < 0.6),
    rows(y) as (select -1.0 union all select y + 0.25 from rows where y < 1.0),
    m(i, cx, cy, x, y) as (
        select 0, x, y, 0.0, 0.0 from axis, rows union all
        select i + 1, cx, cy, x * x - y * y + cx, 2.0 * x * y + cy from m where x * x + y * y < 4.0 and i < 14),
    depth(i, cx, cy) as (select max(i), cx, cy from m group by cx, cy)
    select group_concat(substr(' .+*#', 1 + min(i / 3, 4), 1), '' order by cx) from depth group by cy;
with recursive
    board(s, row) as (values ('', 0) union all
        select s || column1, row + 1 from board, (values (1), (2), (3), (4), (5), (6))
        where row < 6 and not exists (
            with recursive k(i) as (values (1) union all select i + 1 from k where i < row)
            select 1 from k where row > 0 and (substr(s, i, 1) = column1 || ''
                or abs(substr(s, i, 1) - column1) = row + 1 - i)))
    select s from board where row = 6 order by s;

-- json
select json('{"a": [1, 2.5, null, true, "x\u00e9"], "b": {"c": -7e3}}');
select json_extract('{"a": [1, 2, {"b": "deep"}]}', '$.a[2].b'), '{"a": [5, 6]}' ->> '$.a[#-1]', '[1,2]' -> 0;
select key, value, type, fullkey from json_tree('{"x": [10, {"y": null}], "z": "w"}') order by id;
select json_group_array(title order by id), json_group_object(id, year) from book where author < 3;
select json_set('{"a": 1}', '$.b', json_array(1, 'two', 3.0)), json_remove('[0, 1, 2]', '$[1]'), json_valid('{x'),
    json_patch('{"a": 1, "b": 2}', '{"b": null, "c": 3}'), json_type('[1]', '$[0]'), json_quote('a"b');
select hex(jsonb('[1, "a"]')), json(jsonb('{"k": [true]}'));

-- strings, numbers, dates
select printf('%5d|%-5d|%05.1f|%x|%e|%s|%q|%Q|%c|%,d', 42, 42, 3.14159, 255, 12345.678, 'text', 'it''s', 'it''s', 'z',
    1234567);
select upper('straße'), length('日本語'), length(cast('日本語' as blob)), instr('haystack', 'st'), replace('aXbX', 'X', '--'),
    substr('abcdef', -3, 2), trim('..a..', '.'), unicode('é'), char(72, 105), hex('Az'), quote(x'00ff'), unhex('4142');
select 7 / 2, -7 / 2, 7 % -3, 7.0 / 2, 1 << 40, ~5, 5 & 3 | 8, 9223372036854775807 + 1, 1e308 * 10, 0.1 + 0.2,
    round(2.5), round(-1234.567, 2), abs(-9), sign(-3.2), max(3, 1, 2), min('b', 'a'), 10 is not distinct from 10;
select cast('12abc' as int), cast(3.99 as int), cast('1e3' as real), typeof(1), typeof(1.0), typeof('1'), typeof(null),
    typeof(x'01'), '10' < 9, 10 < '9a', null is null, coalesce(null, 'c'), iif(0, 'y', 'n'), nullif(1, 1);
select date('2024-02-29', '+1 year'), time('12:34:56.789', '-1 hour'), datetime(0, 'unixepoch'), julianday('2000-01-01'),
    strftime('%Y-%j-%W-%w %H:%M:%f', '2021-12-31 23:59:58.25'), date('2024-01-31', 'start of month', '+1 month', '-1 day'),
    unixepoch('1970-01-02'), timediff('2024-03-01', '2023-01-31'), date('2023-05-17', 'weekday 0');
select sqrt(2), pow(2, 0.5), round(ln(10), 12), pi(), floor(-1.5), mod(7, 3), degrees(pi()), log2(8), trunc(9.99);
select 'abc' like 'A_C', 'abc' glob 'a*', 'a%c' like 'a\%c' escape '\', 'x' in ('x', 'y'), (1, 2) < (1, 3);

-- upsert, returning, transactions, savepoints, triggers
insert into author(name, born) values ('ada', 1816) on conflict(name) do update set born = excluded.born returning id, born;
update book set price = price * 2 where author = 2 returning title, price;
begin;
delete from author where name = 'Carl' returning name;
select count(*) from book;
savepoint inner_point;
insert or ignore into author(name, born) values ('ADA', 5), ('Sofia', 1850);
select changes(), total_changes() > 0, last_insert_rowid() > 0;
rollback to inner_point;
select count(*) from author;
rollback;
select count(*) from book;
update book set year = (select born from author where id = book.author) + 30 where id in (select id from book limit 2);
update book set price = 1 from author where author.id = book.author and author.name = 'Émilie';
select id, title, year, price, century from book order by id;
select * from log order by step;

-- views, temporary tables, without rowid, blobs, strict, attach, alter, pragma
create view shelf(who, what) as select name, title from author join book on author.id = book.author;
select * from shelf where who < 'C' order by what;
create trigger shelf_insert instead of insert on shelf begin
    insert into author(name, born) values (new.who, 2000);
end;
insert into shelf values ('Grace', 'Flow-Matic');
select name, born from author where born >= 1900;
create temp table pair(k text, v blob, primary key (k, v)) without rowid;
insert into pair values ('a', x'00'), ('a', zeroblob(3)), ('b', cast('text' as blob));
select k, v, length(v) from pair order by k desc, v;
create table typed(i int, t text, a any) strict;
insert into typed values ('5', 6, '7'), (8, 'x', 9.5);
select i, typeof(i), t, typeof(t), a, typeof(a) from typed;
attach ':memory:' as other;
create table other.copy as select id, title from main.book where id > 4;
alter table other.copy add column note text default 'n/a';
alter table other.copy rename column title to name;
select * from other.copy;
select name, type, "notnull", dflt_value, pk from pragma_table_info('book');
select type, name, tbl_name from sqlite_schema order by type, name;
pragma integrity_check;
pragma foreign_key_check;

-- full-text search
create virtual table page using fts5(title, body, tokenize = 'porter unicode61');
insert into page values ('Loops', 'A loop repeats; looping over lists is common.'),
    ('Lists', 'Lists hold values. Naïve lists grow.'), ('Trees', 'A tree of lists can be searched.');
select title, highlight(page, 1, '[', ']') from page where page match 'list' order by rank, title;
select title, snippet(page, 1, '<', '>', '...', 4) from page where page match 'loop OR (tree NEAR lists)' order by rowid;
select title from page where page match 'naive*';
insert into page(page) values ('optimize');
select count(*) from page where page match 'title: trees';

-- something larger: sorting, indexes, hash joins, vacuum
create table big(id integer primary key, k int, s text);
with recursive n(i) as (values (1) union all select i + 1 from n where i < 5000)
    insert into big(k, s) select (i * 7919) % 1009, printf('%08x', (i * 2654435761) & 4294967295) from n;
create index big_k on big(k, s);
analyze;
select k, count(*), min(s), max(s) from big group by k order by count(*) desc, k limit 5;
select count(*), sum(a.id), sum(b.id % 13) from big a join big b on a.k = b.k and a.id < b.id;
select s from big order by s desc limit 5 offset 100;
select count(distinct substr(s, 1, 2)), total(length(s)) from big where s > '8' and k in (select k from big where id < 50);
delete from big where id % 3 = 0;
vacuum;
select count(*), sum(id), sum(k) from big;
reindex;
select count(*) from big indexed by big_k where k between 100 and 200;
