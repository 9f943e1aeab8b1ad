// The resident Java side of the tests: one process formats, creates topics, writes and reads back, so that a
// Java start is paid once. Commands are lines of tab-separated words; answers are binary (see tests/kafka/control.rs).

import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;

public final class Control {
    /** An answer that says what went wrong: this byte, a size, a text. */
    static final int FAILED = 0;
    /** An answer that is a text: this byte, a size, the text. */
    static final int TEXT = 1;
    /** An answer that is records, in the format of Read. */
    static final int RECORDS = 2;

    private final String bootstrap;
    private final DataOutputStream out;
    private Admin admin;

    private Control(String bootstrap, DataOutputStream out) {
        this.bootstrap = bootstrap;
        this.out = out;
    }

    public static void main(String[] arguments) throws IOException {
        var stream = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 20);
        // Nothing that a library prints may end up between the answers.
        System.setOut(System.err);
        var control = new Control(arguments[0], new DataOutputStream(stream));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            control.answer(line.split("\t", -1));
        }
        // Our owner is gone; threads of clients that cannot reach a broker must not keep us.
        Runtime.getRuntime().halt(0);
    }

    private void answer(String[] words) throws IOException {
        try {
            if (words[0].equals("read")) {
                out.writeByte(RECORDS);
                Read.records(bootstrap, words[1], words[2], out);
            } else {
                text(TEXT, perform(words));
            }
        } catch (Exception e) {
            var trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            text(FAILED, trace.toString());
        }
        out.flush();
    }

    private void text(int kind, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeByte(kind);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private String perform(String[] words) throws Exception {
        switch (words[0]) {
            case "format":
                return format(words);
            case "create":
                return create(words);
            case "delete":
                admin().deleteTopics(List.of(words[1])).all().get();
                return "";
            case "grow":
                admin().createPartitions(Map.of(words[1], NewPartitions.increaseTo(Integer.parseInt(words[2]))))
                        .all().get();
                return "";
            case "leaders":
                return leaders(words[1]);
            case "controller":
                return String.valueOf(admin().describeMetadataQuorum().quorumInfo().get().leaderId());
            case "elect":
                return elect(words[1]);
            case "rotate":
                return rotate(words[1], Integer.parseInt(words[2]));
            case "quota":
                return quota(words[1], Double.parseDouble(words[2]));
            case "write":
                return Write.records(bootstrap, words[1], Integer.parseInt(words[2]), words[3]);
            default:
                throw new IllegalArgumentException("unknown command " + words[0]);
        }
    }

    private String format(String[] arguments) {
        var printed = new ByteArrayOutputStream();
        int status;
        try (var stream = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
            status = kafka.tools.StorageTool.execute(arguments, stream);
        }
        String text = printed.toString(StandardCharsets.UTF_8);
        if (status != 0) {
            throw new IllegalStateException("formatting ended with " + status + ": " + text);
        }
        return text;
    }

    private String create(String[] words) throws Exception {
        var partitions = Optional.of(Integer.parseInt(words[2]));
        var topic = new NewTopic(words[1], partitions, Optional.of(Short.parseShort(words[3])));
        var configs = new TreeMap<String, String>();
        for (int i = 4; i < words.length; i++) {
            int at = words[i].indexOf('=');
            configs.put(words[i].substring(0, at), words[i].substring(at + 1));
        }
        admin().createTopics(List.of(topic.configs(configs))).all().get();
        // The controller knows it now; a broker may still have to hear of it.
        while (true) {
            try {
                if (!leaders(words[1]).contains("-1")) {
                    return "";
                }
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw e;
                }
            }
            Thread.sleep(10);
        }
    }

    /** One line per partition: its leader's id, -1 for none. */
    private String leaders(String topic) throws Exception {
        TopicDescription description = admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        var text = new StringBuilder();
        for (var partition : description.partitions()) {
            text.append(partition.leader() == null ? -1 : partition.leader().id()).append('\n');
        }
        return text.toString();
    }

    /** Every partition to the first of its replicas. */
    private String elect(String topic) throws Exception {
        var partitions = new HashSet<TopicPartition>();
        int count = admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        for (int i = 0; i < count; i++) {
            partitions.add(new TopicPartition(topic, i));
        }
        admin().electLeaders(ElectionType.PREFERRED, partitions).partitions().get();
        return "";
    }

    /** The same replicas of every partition, but `by` places further, and then an election: all leaders move. */
    private String rotate(String topic, int by) throws Exception {
        TopicDescription description = admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        var moves = new HashMap<TopicPartition, Optional<NewPartitionReassignment>>();
        for (var partition : description.partitions()) {
            var replicas = new ArrayList<Integer>();
            partition.replicas().forEach(node -> replicas.add(node.id()));
            Collections.rotate(replicas, by);
            moves.put(new TopicPartition(topic, partition.partition()),
                    Optional.of(new NewPartitionReassignment(replicas)));
        }
        admin().alterPartitionReassignments(moves).all().get();
        return elect(topic);
    }

    /** Bytes per second that a client may produce; 0: no limit. */
    private String quota(String client, double rate) throws Exception {
        var entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, client));
        var limit = new ClientQuotaAlteration.Op("producer_byte_rate", rate > 0 ? rate : null);
        admin().alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(limit)))).all().get();
        return "";
    }

    private Admin admin() {
        if (admin == null) {
            var settings = new Properties();
            settings.put("bootstrap.servers", bootstrap);
            settings.put("reconnect.backoff.max.ms", "200");
            settings.put("default.api.timeout.ms", "60000");
            admin = Admin.create(settings);
        }
        return admin;
    }
}
