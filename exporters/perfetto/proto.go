package perfetto

// Field numbers of the messages written. The names are those of the .proto
// files.
const (
	tracePacket = 1 // Trace.packet

	packetClockSnapshot   = 6
	packetTimestamp       = 8
	packetSequenceID      = 10 // trusted_packet_sequence_id
	packetTrackEvent      = 11
	packetInternedData    = 12
	packetSequenceFlags   = 13
	packetTrackDescriptor = 60

	flagCleared = 1 // SEQ_INCREMENTAL_STATE_CLEARED
	flagNeeds   = 2 // SEQ_NEEDS_INCREMENTAL_STATE

	snapshotClocks = 1
	clockID        = 1
	clockTimestamp = 2
	clockRealtime  = 1 // BUILTIN_CLOCK_REALTIME
	clockBoottime  = 6 // BUILTIN_CLOCK_BOOTTIME, the default of timestamps

	descriptorUUID    = 1
	descriptorName    = 2
	descriptorProcess = 3
	descriptorThread  = 4
	descriptorParent  = 5
	descriptorCounter = 8
	counterUnitName   = 6
	processPID        = 1
	processName       = 6
	threadPID         = 1
	threadTID         = 2
	threadName        = 5

	eventCategoryIIDs  = 3
	eventAnnotations   = 4
	eventType          = 9
	eventNameIID       = 10
	eventTrack         = 11
	eventCounterValue  = 30
	eventLocationIID   = 34
	eventFlowIDs       = 47
	eventCorrelationID = 52
	typeBegin          = 1
	typeEnd            = 2
	typeInstant        = 3
	typeCounter        = 4

	annotationNameIID = 1
	annotationBool    = 2
	annotationUint    = 3
	annotationInt     = 4
	annotationString  = 6
	annotationPointer = 7

	internCategories  = 1
	internNames       = 2
	internAnnotations = 3
	internLocations   = 4
	internIID         = 1
	internName        = 2
	locationFile      = 2
	locationFunction  = 3
	locationLine      = 4
)
