-- Two to three seconds of work for SQLite, on data that it generates itself.
create table customer(id integer primary key, name text, region int, joined text);
create table item(id integer primary key, title text, price real);
create table sale(id integer primary key, customer int, item int, amount int, day int, note text);

begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into customer select i, printf('customer %05d', (i * 7919) % 20011), i * 31 % 17, date(i * 86400, 'unixepoch') from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
    insert into item select i, 'item ' || hex(i * 2654435761), round((i * 37 % 9973) / 7.0, 2) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 420000)
    insert into sale select i, 1 + (i * 48271) % 20000, 1 + (i * 69621) % 5000, 1 + i % 9, (i * 16807) % 365,
        substr('the quick brown fox jumps over the lazy dog', 1 + i % 30, 12) from n;
commit;

create index sale_customer on sale(customer, day);
create index sale_item on sale(item);
create index customer_name on customer(name collate nocase);
analyze;

select region, count(*), sum(amount), round(avg(price), 4), max(title)
    from sale join customer on customer.id = sale.customer join item on item.id = sale.item group by region order by region;
select day, sum(amount * price) as total from sale join item on item.id = item group by day order by total desc limit 5;
select count(*), sum(length(note)), sum(instr(note, 'o')), count(distinct upper(replace(note, ' ', '_'))) from sale;
select note, count(*) from sale where note like '%fox%' or note glob '*d[aeo]g*' group by note order by 2 desc, 1 limit 5;
select sum(place * id % 1009) from (select id, row_number() over (partition by region order by name) as place from customer);
select customer, total from (select customer, sum(amount) as total, rank() over (order by sum(amount) desc, customer) as r
    from sale group by customer) where r <= 5;
select id, note, amount from sale order by note desc, amount, id % 1000, id limit 5 offset 150000;
select count(*) from customer a where (select sum(amount) from sale where customer = a.id and day between 100 and 200) > 25;
select count(*) from customer where name = 'CUSTOMER 00042' collate nocase or joined between '1990-01-01' and '1999-12-31';
with recursive path(id, steps) as (select 1, 0 union all select 1 + (id * 37 + 11) % 20000, steps + 1 from path where steps < 100000)
    select count(distinct id), max(id) from path;
select json_group_array(region) from (select distinct region from customer order by 1);
select sum(json_extract(json_object('a', amount, 'b', json_array(day, id)), '$.b[1]')) from sale where id % 3 = 0;

begin;
update sale set amount = amount + 1, note = upper(note) where id % 4 = 0;
delete from sale where item in (select id from item where price > 1200);
insert into item(title, price) select title || '*', price / 2 from item where id % 2;
commit;
select count(*), sum(amount), max(note), (select count(*) from item) from sale;
select strftime('%Y', joined) as year, count(*) from customer group by year order by year desc limit 5;
pragma integrity_check;
