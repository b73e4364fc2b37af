package otlpprofiles

// Field numbers of profiles.proto and of ExportProfilesServiceRequest, which has
// those of ProfilesData.
const (
	dataResourceProfiles = 1
	dataDictionary       = 2

	dictMappings   = 1
	dictLocations  = 2
	dictFunctions  = 3
	dictLinks      = 4
	dictStrings    = 5
	dictAttributes = 6
	dictStacks     = 7

	resourceResource = 1
	resourceScopes   = 2
	resourceSchema   = 3

	scopeScope    = 1
	scopeProfiles = 2
	scopeSchema   = 3
	scopeName     = 1
	scopeVersion  = 2

	profileSampleType = 1
	profileSamples    = 2
	profileTime       = 3
	profileDuration   = 4
	profilePeriodType = 5
	profilePeriod     = 6
	profileID         = 7

	valueType = 1
	valueUnit = 2

	sampleStack      = 1
	sampleAttributes = 2
	sampleValues     = 4

	mappingStart      = 1
	mappingLimit      = 2
	mappingFilename   = 4
	mappingAttributes = 5

	locationMapping = 1
	locationAddress = 2
	locationLines   = 3

	lineFunction = 1
	lineLine     = 2

	functionName   = 1
	functionSystem = 2
	functionFile   = 3

	stackLocations = 1

	attributeKey   = 1
	attributeValue = 2

	anyString = 1
	anyInt    = 3
)
