package callstream;

import java.io.File;
import org.apache.avro.SchemaParser;
import org.apache.avro.compiler.specific.SpecificCompiler;
import org.apache.avro.generic.GenericData;

/** Writes the classes of a schema's records: MakeRecords SCHEMA_FILE FOLDER. */
public final class MakeRecords {
    private MakeRecords() {}

    public static void main(String[] arguments) throws Exception {
        File schema = new File(arguments[0]);
        SpecificCompiler compiler = new SpecificCompiler(new SchemaParser().parse(schema).mainSchema());
        compiler.setStringType(GenericData.StringType.String);
        compiler.compileToDestination(schema, new File(arguments[1]));
    }
}
