package organization

// SeparationKind is where the demand for a separation comes from.
type SeparationKind string

// The kinds of separations.
const (
	Security   SeparationKind = "security"
	Management SeparationKind = "management"
	Law        SeparationKind = "law"
)

// Values lists the kinds.
func (SeparationKind) Values() []string {
	return []string{string(Security), string(Management), string(Law)}
}

// DeliveryChoice is how images reach a site.
type DeliveryChoice string

// The ways of delivery.
const (
	DeliveryAuto      DeliveryChoice = "auto"
	DeliveryNetwork   DeliveryChoice = "network"
	DeliveryMedia     DeliveryChoice = "media"
	DeliveryPreStaged DeliveryChoice = "preStaged"
)

// Values lists the ways.
func (DeliveryChoice) Values() []string {
	return []string{string(DeliveryAuto), string(DeliveryNetwork), string(DeliveryMedia), string(DeliveryPreStaged)}
}

// Database is a kind of database.
type Database string

// The kinds of databases.
const (
	DatabaseAuto Database = "auto"
	SQLite       Database = "sqlite"
	PostgreSQL   Database = "postgresql"
)

// Values lists the kinds.
func (Database) Values() []string {
	return []string{string(DatabaseAuto), string(SQLite), string(PostgreSQL)}
}

// DatabasePlace is where a database is.
type DatabasePlace string

// The places of databases.
const (
	PlaceAuto   DatabasePlace = "auto"
	PlaceServer DatabasePlace = "server"
	PlaceRemote DatabasePlace = "remote"
)

// Values lists the places.
func (DatabasePlace) Values() []string {
	return []string{string(PlaceAuto), string(PlaceServer), string(PlaceRemote)}
}

// Topic is what a question to the business is about.
type Topic string

// The topics.
const (
	TopicCombine Topic = "combine" // could two images be one?
	TopicLicence Topic = "licence"
	TopicSupport Topic = "support"
	TopicOther   Topic = "other"
)

// Values lists the topics.
func (Topic) Values() []string {
	return []string{string(TopicCombine), string(TopicLicence), string(TopicSupport), string(TopicOther)}
}
