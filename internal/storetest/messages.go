package storetest

import (
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The messages of the two stores, as their .proto files declare them, without what
// no client sends.
const (
	pushProto = `name: "push/v1/push.proto" package: "push.v1" syntax: "proto3"
message_type { name: "PushRequest"
  field { name: "series" json_name: "series" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".push.v1.RawProfileSeries" } }
message_type { name: "RawProfileSeries"
  field { name: "labels" json_name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".push.v1.LabelPair" }
  field { name: "samples" json_name: "samples" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".push.v1.RawSample" } }
message_type { name: "LabelPair"
  field { name: "name" json_name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" json_name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "RawSample"
  field { name: "raw_profile" json_name: "rawProfile" number: 1 label: LABEL_OPTIONAL type: TYPE_BYTES }
  field { name: "ID" json_name: "ID" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }`

	parcaProto = `name: "parca/profilestore/v1alpha1/profilestore.proto" package: "parca.profilestore.v1alpha1" syntax: "proto3"
message_type { name: "WriteRawRequest"
  field { name: "tenant" json_name: "tenant" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "series" json_name: "series" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".parca.profilestore.v1alpha1.RawProfileSeries" }
  field { name: "normalized" json_name: "normalized" number: 3 label: LABEL_OPTIONAL type: TYPE_BOOL } }
message_type { name: "WriteRawResponse" }
message_type { name: "RawProfileSeries"
  field { name: "labels" json_name: "labels" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".parca.profilestore.v1alpha1.LabelSet" }
  field { name: "samples" json_name: "samples" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".parca.profilestore.v1alpha1.RawSample" } }
message_type { name: "LabelSet"
  field { name: "labels" json_name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".parca.profilestore.v1alpha1.Label" } }
message_type { name: "Label"
  field { name: "name" json_name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" json_name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "RawSample"
  field { name: "raw_profile" json_name: "rawProfile" number: 1 label: LABEL_OPTIONAL type: TYPE_BYTES } }`
)

// message makes an empty message of a file.
func message(file, name string) (*dynamicpb.Message, error) {
	var d descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(file), &d); err != nil {
		return nil, err
	}
	f, err := protodesc.NewFile(&d, nil)
	if err != nil {
		return nil, err
	}
	return dynamicpb.NewMessage(f.Messages().ByName(protoreflect.Name(name))), nil
}

// field returns the value of a field.
func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

// each visits the messages of a repeated field.
func each(m protoreflect.Message, name string, visit func(protoreflect.Message) error) error {
	list := field(m, name).List()
	for i := range list.Len() {
		if err := visit(list.Get(i).Message()); err != nil {
			return err
		}
	}
	return nil
}
