// Reads an OpenVEX document with the library of its makers: vex-check FILE prints what it understood, or ends with 1.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/openvex/go-vex/pkg/vex"
)

func read(file string) (*vex.VEX, error) {
	document, err := vex.Load(file)
	if err != nil {
		return nil, err
	}
	for _, statement := range document.Statements {
		if err := statement.Validate(); err != nil {
			return nil, err
		}
	}
	return document, nil
}

func main() {
	document, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(document); err != nil {
		os.Exit(1)
	}
}
