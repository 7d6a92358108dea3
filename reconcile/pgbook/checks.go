package pgbook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// check is one of the library's checks. It has either conditions on single rows of one
// table, or a query of its own.
type check struct {
	name  string
	table *layout
	build func(*run) (sql string, err error)
}

// run is one run of all checks.
type run struct {
	ctx    context.Context
	tx     pgx.Tx
	book   *Book
	now    time.Time
	params [][]byte
}

// arg adds a parameter and returns the text that stands for it.
func (r *run) arg(value string) string {
	r.params = append(r.params, []byte(value))
	return fmt.Sprintf("$%d::text", len(r.params))
}

func (r *run) list(values []string) string {
	return r.arg(string(textArray(values))) + "::text[]"
}

func (r *run) moment(at time.Time) string {
	return r.arg(at.UTC().Format(time.RFC3339Nano)) + "::timestamptz"
}

// unmappedError is a field that a check needs and that has no column.
func unmappedError(l *layout, field string) error {
	return fmt.Errorf("mapping %s.%s has no column: map one, or name the check in Config.Skip", l.what, field)
}

// need returns the column of a field, or the reason why a check cannot run.
func (l *layout) need(field string) (*column, error) {
	switch c := l.of(field); {
	case l.name == "":
		return nil, fmt.Errorf("mapping %s has no table: map one, or name the check in Config.Skip", l.what)
	case c == nil:
		return nil, unmappedError(l, field)
	default:
		return c, nil
	}
}

// rowsWhere selects whole rows of a table.
func rowsWhere(l *layout, condition string) string {
	return "SELECT ctid, * FROM " + l.sql() + " WHERE " + condition
}

// checks returns the library's checks. Each of them is always there: one that cannot run
// is an error when it is run.
func (b *Book) checks() []check {
	trades := b.trades
	if trades == nil {
		trades = &layout{what: "trades"}
	}
	all := []check{
		{"positions-null-price", &b.positions.layout, b.nullPrice},
		{"positions-fills", &b.positions.layout, b.positionsOfFills},
		{"positions-orphan", &b.positions.layout, func(r *run) (string, error) { return b.orphanPositions(r, trades) }},
	}
	for _, l := range []*layout{&b.positions.layout, &b.orders.layout, &b.fills.layout, trades} {
		all = append(all, common(l)...)
	}
	return append(all,
		check{"positions-duplicate", &b.positions.layout, b.duplicatePositions},
		check{"orders-duplicate", &b.orders.layout, b.duplicateOrders},
		check{"fills-duplicate", &b.fills.layout, b.duplicateFills},
		check{"trades-duplicate", trades, func(*run) (string, error) { return duplicateTrades(trades) }},
		check{"orders-orphan", &b.orders.layout, b.orphanOrders},
		check{"trades-orphan", trades, func(r *run) (string, error) { return b.orphanTrades(r, trades) }},
		check{"trades-size", trades, func(r *run) (string, error) { return r.largeTrades(trades) }},
		check{"trades-leverage", trades, func(r *run) (string, error) { return r.leveragedTrades(trades) }},
		check{"trades-address", trades, func(r *run) (string, error) { return r.foreignTrades(trades) }},
	)
}

// common are the checks that every table has.
func common(l *layout) []check {
	named := func(name string, build func(*run) (string, error)) check {
		return check{l.what + "-" + name, l, func(r *run) (string, error) {
			if l.name == "" {
				_, err := l.need("")
				return "", err
			}
			return build(r)
		}}
	}
	return []check{
		named("null", l.nulls),
		named("not-a-number", l.notNumbers),
		named("sign", l.signs),
		named("illegal-word", l.illegalWords),
		named("future", func(r *run) (string, error) { return l.ahead(r) }),
	}
}

// any joins conditions of which one is enough; with none the check needs a column.
func anyOf(l *layout, conditions []string, field string) (string, error) {
	if len(conditions) == 0 {
		return "", unmappedError(l, field)
	}
	return rowsWhere(l, strings.Join(conditions, " OR ")), nil
}

// nulls finds rows without a value that they cannot do without.
func (l *layout) nulls(*run) (string, error) {
	var any []string
	for _, c := range l.columns {
		if c.need == required {
			any = append(any, quoted(c.name)+" IS NULL")
		}
	}
	if keys := l.keyColumns(); len(keys) > 0 { // one of them is needed
		any = append(any, "coalesce("+strings.Join(keys, ", ")+") IS NULL")
	}
	return anyOf(l, any, "status")
}

// keyColumns are the ids of which a row needs one, as texts, NULL where they are empty.
func (l *layout) keyColumns() []string {
	fields := map[string][]string{"orders": {"client_id", "venue_id"}, "fills": {"order_id", "client_id"}}[l.what]
	var all []string
	for _, f := range fields {
		if c := l.of(f); c != nil {
			all = append(all, "nullif("+quoted(c.name)+"::text, '')")
		}
	}
	return all
}

// notNumbers finds NaN, the infinities and texts that are no number.
func (l *layout) notNumbers(*run) (string, error) {
	var any []string
	for i := range l.columns {
		if c := &l.columns[i]; c.kind == amount {
			any = append(any, "NOT ("+c.finite()+")")
		}
	}
	return anyOf(l, any, "size")
}

// signs finds amounts that no such row can have.
func (l *layout) signs(*run) (string, error) {
	var any []string
	add := func(field, wrong string) {
		if c := l.of(field); c != nil {
			any = append(any, c.number()+" "+wrong)
		}
	}
	switch l.what {
	case "positions":
		add("entry_price", "<= 0")
		add("current_price", "<= 0")
		quantity := l.of("quantity")
		if l.of("side") != nil {
			add("quantity", "< 0")
		} else if leg := l.of("leg"); leg != nil && quantity != nil {
			for word, wrong := range map[string]string{"long": " < 0", "short": " > 0"} {
				if own, err := leg.table(word); err == nil {
					any = append(any, quoted(leg.name)+"::text = "+literal(own)+" AND "+quantity.number()+wrong)
				}
			}
			slices.Sort(any)
		}
	case "trades":
		add("size", "<= 0")
		add("leverage", "<= 0")
	case "orders":
		for _, f := range []string{"filled", "price", "trigger"} {
			add(f, "< 0")
		}
		add("quantity", "<= 0")
		if filled, quantity := l.of("filled"), l.of("quantity"); filled != nil && quantity != nil {
			any = append(any, filled.number()+" > "+quantity.number())
		}
	case "fills":
		add("quantity", "<= 0")
		add("price", "<= 0")
	}
	return anyOf(l, any, "size")
}

// literal quotes a text for SQL, however the server reads backslashes.
func literal(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// illegalWords finds statuses, sides, legs and kinds that are none.
func (l *layout) illegalWords(r *run) (string, error) {
	var any []string
	for _, c := range l.columns {
		if c.words == nil {
			continue
		}
		legal := c.legal
		if l.what == "positions" && c.field == "status" {
			legal = append([]string{r.book.config.Mapping.Positions.Open}, r.book.config.Mapping.Positions.Closed...)
		}
		any = append(any, quoted(c.name)+" IS NULL OR "+quoted(c.name)+"::text <> ALL ("+r.list(legal)+")")
	}
	return anyOf(l, any, "status")
}

// ahead finds rows from the future, and from no time at all.
func (l *layout) ahead(r *run) (string, error) {
	var any []string
	for i := range l.columns {
		c := &l.columns[i]
		if c.kind != moment {
			continue
		}
		any = append(any, "NOT isfinite("+quoted(c.name)+")")
		if !c.future {
			any = append(any, c.selected()+" > "+r.moment(r.now.Add(r.book.config.Limits.Skew)))
		}
	}
	field := "at"
	if l.what == "trades" {
		field = "created_at"
	}
	return anyOf(l, any, field)
}

// nullPrice is the playbook's: positions without a price, history too.
func (b *Book) nullPrice(*run) (string, error) {
	l := &b.positions.layout
	var any []string
	for _, f := range []string{"entry_price", "current_price"} {
		c, err := l.need(f)
		if err != nil {
			return "", err
		}
		any = append(any, quoted(c.name)+" IS NULL")
	}
	return rowsWhere(l, strings.Join(any, " OR ")), nil
}

// heldOnly is the condition for positions that are held. A row with a status that is
// none counts as held: nobody has said that it is history.
func (b *Book) heldOnly(r *run) string {
	if b.positions.held == nil {
		return "true"
	}
	status := quoted(b.positions.held.status)
	return "(" + status + " IS NULL OR " + status + "::text <> ALL (" + r.list(b.positions.held.closed) + "))"
}

// library is an expression for the library's word of a field: its fixed value where it
// has no column, NULL for a word that is none.
func (l *layout) library(r *run, field, fixed string) string {
	c := l.of(field)
	if c == nil {
		return r.arg(fixed)
	}
	expr := quoted(c.name) + "::text"
	if c.legal == nil {
		return expr
	}
	var cases strings.Builder
	cases.WriteString("CASE " + expr)
	for i, w := range c.legal {
		cases.WriteString(" WHEN " + r.arg(w) + " THEN " + r.arg(c.words[i]))
	}
	return cases.String() + " END"
}

// legOf selects venue, symbol and leg of a row.
func (b *Book) legOf(r *run, l *layout) (string, error) {
	symbol, err := l.need("symbol")
	if err != nil {
		return "", err
	}
	venue := l.library(r, "venue", b.config.Venue)
	return venue + " AS venue, " + quoted(symbol.name) + "::text AS symbol, " + l.library(r, "leg", "net") + " AS leg", nil
}

// signed is the position's quantity with its sign.
func (b *Book) signed(r *run) (string, error) {
	quantity, err := b.positions.need("quantity")
	if err != nil {
		return "", err
	}
	side := b.positions.of("side")
	if side == nil {
		return quantity.number(), nil
	}
	short, err := side.table("short")
	return "CASE WHEN " + quoted(side.name) + "::text = " + r.arg(short) + " THEN -1 ELSE 1 END * (" + quantity.number() + ")", err
}

// positionsOfFills finds legs whose fills do not come to what is held. A leg with a
// quantity that is no number is found too.
func (b *Book) positionsOfFills(r *run) (string, error) {
	f := &b.fills.layout
	size, err := f.need("quantity")
	if err != nil {
		return "", err
	}
	signed, err := b.signed(r)
	if err != nil {
		return "", err
	}
	ofPosition, err := b.legOf(r, &b.positions.layout)
	if err != nil {
		return "", err
	}
	ofFill, err := b.legOf(r, f)
	if err != nil {
		return "", err
	}
	side := f.library(r, "side", "")
	return `SELECT coalesce(p.venue, f.venue) AS venue, coalesce(p.symbol, f.symbol) AS symbol, coalesce(p.leg, f.leg) AS leg,
			p.quantity AS position_quantity, f.quantity AS fills_quantity, coalesce(p.n, 0) AS positions, coalesce(f.n, 0) AS fills
		FROM (SELECT venue, symbol, leg, sum(q) AS quantity, count(*) AS n, count(*) - count(q) AS bad
			FROM (SELECT ` + ofPosition + ", " + signed + " AS q FROM " + b.positions.sql() + " WHERE " + b.heldOnly(r) + `) x GROUP BY venue, symbol, leg) p
		FULL JOIN (SELECT venue, symbol, leg, sum(CASE side WHEN 'buy' THEN q WHEN 'sell' THEN -q END) AS quantity, count(*) AS n,
				count(*) - count(CASE WHEN side IN ('buy', 'sell') THEN q END) AS bad
			FROM (SELECT ` + ofFill + ", " + side + " AS side, " + size.number() + " AS q FROM " + f.sql() + `) x GROUP BY venue, symbol, leg) f
		ON p.venue = f.venue AND p.symbol = f.symbol AND p.leg = f.leg
		WHERE coalesce(p.quantity, 0) <> coalesce(f.quantity, 0) OR coalesce(p.bad, 0) + coalesce(f.bad, 0) > 0`, nil
}

// repeated selects the rows of a table that have one of these keys in common. It gives
// nothing a name, which could be that of a column.
func repeated(l *layout, key, condition string) string {
	return rowsWhere(l, condition+" AND "+key+" IN (SELECT "+key+" FROM "+l.sql()+" WHERE "+condition+" GROUP BY 1 HAVING count(*) > 1)")
}

// duplicatePositions finds legs with more than one row that is held.
func (b *Book) duplicatePositions(r *run) (string, error) {
	l := &b.positions.layout
	leg, err := b.legOf(r, l)
	if err != nil {
		return "", err
	}
	leg = strings.NewReplacer(" AS venue", "", " AS symbol", "", " AS leg", "").Replace(leg)
	return repeated(l, "ARRAY["+leg+"]", b.heldOnly(r)), nil
}

func (b *Book) duplicateOrders(*run) (string, error) {
	l := &b.orders.layout
	ids := l.keyColumns()
	if len(ids) == 0 {
		return "", unmappedError(l, "client_id")
	}
	return repeated(l, l.withVenue("coalesce("+strings.Join(ids, ", ")+")"), "coalesce("+strings.Join(ids, ", ")+") IS NOT NULL"), nil
}

func (b *Book) duplicateFills(*run) (string, error) {
	l := &b.fills.layout
	id, err := l.need("id")
	if err != nil {
		return "", err
	}
	return repeated(l, l.withVenue(quoted(id.name)+"::text"), quoted(id.name)+" IS NOT NULL"), nil
}

// withVenue is a key within a venue.
func (l *layout) withVenue(key string) string {
	if venue := l.of("venue"); venue != nil {
		return "ARRAY[" + quoted(venue.name) + "::text, " + key + "]"
	}
	return key
}

// duplicateTrades finds trades with the same id, or, where there is none, rows that are
// the same in every column.
func duplicateTrades(l *layout) (string, error) {
	if l.name == "" {
		_, err := l.need("")
		return "", err
	}
	if id := l.of("id"); id != nil {
		return repeated(l, quoted(id.name)+"::text", quoted(id.name)+" IS NOT NULL"), nil
	}
	return "SELECT t.ctid, t.* FROM " + l.sql() + " AS t WHERE (t.*)::text IN (SELECT (x.*)::text FROM " + l.sql() +
		" AS x GROUP BY 1 HAVING count(*) > 1)", nil
}

// openTrades is the condition for trades that hold a position.
func (b *Book) openTrades(r *run, trades *layout) (string, error) {
	status, err := trades.need("status")
	if err != nil {
		return "", err
	}
	return quoted(status.name) + "::text = " + r.arg(status.legal[0]), nil
}

// orphanTrades finds trades that point to a position that is not there, or, where they
// do not point, open trades of a symbol that is not held.
func (b *Book) orphanTrades(r *run, trades *layout) (string, error) {
	if to, of := trades.of("position"), b.positions.of("id"); to != nil && of != nil {
		id := quoted(of.name)
		return rowsWhere(trades, quoted(to.name)+"::text NOT IN (SELECT "+id+"::text FROM "+b.positions.sql()+" WHERE "+id+" IS NOT NULL)"), nil
	}
	open, err := b.openTrades(r, trades)
	if err != nil {
		return "", err
	}
	symbol, err := trades.need("symbol")
	if err != nil {
		return "", err
	}
	of, err := b.positions.need("symbol")
	if err != nil {
		return "", err
	}
	return rowsWhere(trades, open+" AND "+quoted(symbol.name)+"::text NOT IN (SELECT "+quoted(of.name)+"::text FROM "+b.positions.sql()+
		" WHERE "+quoted(of.name)+" IS NOT NULL AND "+b.heldOnly(r)+")"), nil
}

// orphanPositions finds positions that are held and that no open trade stands for.
func (b *Book) orphanPositions(r *run, trades *layout) (string, error) {
	open, err := b.openTrades(r, trades)
	if err != nil {
		return "", err
	}
	symbol, err := trades.need("symbol")
	if err != nil {
		return "", err
	}
	of, err := b.positions.need("symbol")
	if err != nil {
		return "", err
	}
	return rowsWhere(&b.positions.layout, b.heldOnly(r)+" AND "+quoted(of.name)+"::text NOT IN (SELECT "+quoted(symbol.name)+"::text FROM "+trades.sql()+
		" WHERE "+quoted(symbol.name)+" IS NOT NULL AND "+open+")"), nil
}

// orphanOrders finds live orders that may only reduce, on a symbol that is not held.
func (b *Book) orphanOrders(r *run) (string, error) {
	l := &b.orders.layout
	reduce, err := l.need("reduce_only")
	if err != nil {
		return "", err
	}
	symbol, err := l.need("symbol")
	if err != nil {
		return "", err
	}
	of, err := b.positions.need("symbol")
	if err != nil {
		return "", err
	}
	status, err := l.need("status")
	if err != nil {
		return "", err
	}
	live, err := status.table("live")
	return rowsWhere(l, quoted(reduce.name)+" AND "+quoted(status.name)+"::text = "+r.arg(live)+" AND "+quoted(symbol.name)+
		"::text NOT IN (SELECT "+quoted(of.name)+"::text FROM "+b.positions.sql()+" WHERE "+quoted(of.name)+" IS NOT NULL AND "+b.heldOnly(r)+")"), err
}

// recent is the condition for trades of late. One without a time may be one of them.
func (r *run) recent(trades *layout) (string, error) {
	at, err := trades.need("created_at")
	if err != nil {
		return "", err
	}
	return "(" + quoted(at.name) + " IS NULL OR " + at.selected() + " > " + r.moment(r.now.Add(-r.book.config.Limits.Recent)) + ")", nil
}

// largeTrades is the playbook's: larger than three times the average of all. The
// average leaves out what is no number, since with one NaN in it nothing is larger.
func (r *run) largeTrades(trades *layout) (string, error) {
	size, err := trades.need("size")
	if err != nil {
		return "", err
	}
	recent, err := r.recent(trades)
	if err != nil {
		return "", err
	}
	return rowsWhere(trades, recent+" AND (NOT ("+size.finite()+") OR "+size.number()+" > (SELECT avg("+size.number()+") * "+
		r.arg(r.book.config.Limits.SizeFactor.String())+"::numeric FROM "+trades.sql()+"))"), nil
}

// leveragedTrades finds leverage above the limit, and leverage that nobody knows.
func (r *run) leveragedTrades(trades *layout) (string, error) {
	leverage, err := trades.need("leverage")
	if err != nil {
		return "", err
	}
	limit := r.book.config.Limits.MaxLeverage
	if limit.Sign() <= 0 {
		return "", errors.New("Config.Limits.MaxLeverage is missing: set it, or name the check in Config.Skip")
	}
	recent, err := r.recent(trades)
	if err != nil {
		return "", err
	}
	number := leverage.number()
	return rowsWhere(trades, recent+" AND (("+number+") IS NULL OR ("+number+") > "+r.arg(limit.String())+"::numeric)"), nil
}

// foreignTrades finds trades from addresses that are not on the list. They are compared
// here and not in SQL, where NOT IN is never true once the list has a NULL, so that the
// playbook's own query passes everything.
func (r *run) foreignTrades(trades *layout) (string, error) {
	from, err := trades.need("ip_address")
	if err != nil {
		return "", err
	}
	recent, err := r.recent(trades)
	if err != nil {
		return "", err
	}
	allowed, err := r.whitelist()
	if err != nil {
		return "", err
	}
	recentParams := r.params
	seen, err := r.texts("SELECT DISTINCT "+quoted(from.name)+"::text FROM "+trades.sql()+" WHERE "+quoted(from.name)+" IS NOT NULL AND "+recent, recentParams)
	if err != nil {
		return "", err
	}
	var foreign []string
	for _, text := range seen {
		a, err := parseAddress(text)
		if err != nil || !slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return contains(p, a) }) {
			foreign = append(foreign, text)
		}
	}
	return rowsWhere(trades, recent+" AND ("+quoted(from.name)+" IS NULL OR "+quoted(from.name)+"::text = ANY ("+r.list(foreign)+"))"), nil
}

// whitelist returns the networks from which trades may come.
func (r *run) whitelist() ([]netip.Prefix, error) {
	var allowed []netip.Prefix
	for _, p := range r.book.config.Limits.Addresses {
		allowed = append(allowed, unmap(p))
	}
	l := r.book.whitelist
	if l == nil {
		if len(allowed) == 0 {
			return nil, errors.New("Config.Limits.Addresses is empty and the mapping has no whitelist: give one, or name the check in Config.Skip")
		}
		return allowed, nil
	}
	ip, err := l.need("ip")
	if err != nil {
		return nil, err
	}
	texts, err := r.texts("SELECT coalesce("+quoted(ip.name)+"::text, 'NULL') FROM "+l.sql(), nil)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		p, err := parseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("whitelist %s has %q, which is no address: %w", l.sql(), text, err)
		}
		allowed = append(allowed, p)
	}
	return allowed, nil
}

// texts reads one column.
func (r *run) texts(sql string, params [][]byte) ([]string, error) {
	var all []string
	err := query(r.ctx, r.tx, sql, params, nil, func(values [][]byte) error {
		all = append(all, string(values[0]))
		return nil
	})
	return all, err
}

// parseAddress reads an address or a network; an address is a network of itself.
func parseAddress(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("want an address or a network")
	}
	return unmap(p), nil
}

// unmap makes a network of IPv4 addresses in IPv6 one of IPv4.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// contains reports whether the whole of one network lies in the other.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
