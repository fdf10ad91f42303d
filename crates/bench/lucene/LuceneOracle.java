import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.OffsetAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopScoreDocCollector;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.MMapDirectory;

/**
 * Real Lucene, asked from outside: what it does, and how fast.
 *
 * <pre>
 * tokens  TEXTS                 per text: a line of TERM:START:END (UTF-16 offsets), blanks between
 * search  DOCS QUERIES          per query: "error CLASS" or "TOTAL DOC:SCORE …", the best 100 of an exact count
 * bench   DOCS QUERIES INDEX    builds an index in the folder INDEX, warms, measures; see scripts/bench-lucene.sh
 * </pre>
 *
 * Files hold one text a line, as base64 of UTF-8; terms are written so too. The index is that of
 * specs/vectors/lucene: StandardAnalyzer without stop words, a field "text" and an untokenised field "id" ("d1", "d2", …), BM25, one segment.
 */
public final class LuceneOracle {
    private static final int LIMIT = 100;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        switch (arguments[0]) {
            case "tokens" -> tokens(read(arguments[1]), out);
            case "search" -> search(arguments, out);
            case "bench" -> bench(arguments, out);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        out.flush();
    }

    private static List<String> read(String file) throws IOException {
        List<String> texts = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(Path.of(file))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                texts.add(new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8));
            }
        }
        return texts;
    }

    private static Analyzer analyzer() {
        return new StandardAnalyzer(CharArraySet.EMPTY_SET);
    }

    private static void tokens(List<String> texts, PrintStream out) throws IOException {
        Analyzer analyzer = analyzer();
        Base64.Encoder base64 = Base64.getEncoder();
        for (String text : texts) {
            StringBuilder line = new StringBuilder();
            try (TokenStream stream = analyzer.tokenStream("text", text)) {
                CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
                OffsetAttribute offset = stream.addAttribute(OffsetAttribute.class);
                stream.reset();
                while (stream.incrementToken()) {
                    byte[] bytes = term.toString().getBytes(StandardCharsets.UTF_8);
                    line.append(base64.encodeToString(bytes)).append(':').append(offset.startOffset()).append(':').append(offset.endOffset()).append(' ');
                }
                stream.end();
            }
            out.println(line.toString().trim());
        }
    }

    private static DirectoryReader index(List<String> texts, Path folder) throws IOException {
        Directory directory = new MMapDirectory(folder);
        IndexWriterConfig config = new IndexWriterConfig(analyzer());
        config.setOpenMode(IndexWriterConfig.OpenMode.CREATE);
        config.setRAMBufferSizeMB(64);
        config.setUseCompoundFile(false);
        try (IndexWriter writer = new IndexWriter(directory, config)) {
            int number = 0;
            for (String text : texts) {
                Document document = new Document();
                document.add(new TextField("text", text, Field.Store.NO));
                document.add(new StringField("id", "d" + ++number, Field.Store.NO));
                document.add(new NumericDocValuesField("payload", number));
                writer.addDocument(document);
            }
            writer.forceMerge(1);
        }
        return DirectoryReader.open(directory);
    }

    private static void search(String[] arguments, PrintStream out) throws Exception {
        Path folder = Files.createTempDirectory("lucene-oracle");
        IndexSearcher searcher = new IndexSearcher(index(read(arguments[1]), folder));
        QueryParser parser = new QueryParser("text", analyzer());
        for (String text : read(arguments[2])) {
            Query query;
            TopDocs found;
            try {
                query = parser.parse(text);
                found = exact(searcher, query);
            } catch (Exception | StackOverflowError refused) {
                String message = String.valueOf(refused.getMessage()).replace('\n', ' ');
                out.println("error " + refused.getClass().getSimpleName() + " " + message.substring(0, Math.min(160, message.length())));
                continue;
            }
            StringBuilder line = new StringBuilder().append(found.totalHits.value);
            for (ScoreDoc hit : found.scoreDocs) {
                line.append(' ').append(hit.doc).append(':').append(hit.score);
            }
            out.println(line);
        }
    }

    private static TopDocs exact(IndexSearcher searcher, Query query) throws IOException {
        TopScoreDocCollector collector = TopScoreDocCollector.create(LIMIT, Integer.MAX_VALUE);
        searcher.search(query, collector);
        return collector.topDocs();
    }

    /** One way of asking, as a row of the table. */
    private interface Asked {
        long total(Query query) throws IOException;
    }

    private static void bench(String[] arguments, PrintStream out) throws Exception {
        List<String> texts = read(arguments[1]);
        List<String> queries = read(arguments[2]);
        long started = System.nanoTime();
        DirectoryReader reader = index(texts, Path.of(arguments[3]));
        out.printf("# lucene built %d documents in %.1f s%n", texts.size(), (System.nanoTime() - started) / 1e9);
        IndexSearcher cached = new IndexSearcher(reader);
        IndexSearcher plain = new IndexSearcher(reader);
        plain.setQueryCache(null);
        measure("lucene default (count to 1000, query cache)", queries, query -> cached.search(query, LIMIT).totalHits.value, out);
        measure("lucene count to 1000, no query cache", queries, query -> plain.search(query, LIMIT).totalHits.value, out);
        measure("lucene exact count, query cache", queries, query -> exact(cached, query).totalHits.value, out);
        measure("lucene exact count, no query cache", queries, query -> exact(plain, query).totalHits.value, out);
    }

    /** Parses and searches each query; of several measured rounds, the fastest time of each query counts. */
    private static void measure(String name, List<String> queries, Asked asked, PrintStream out) throws Exception {
        int warm = Integer.getInteger("warm", 15);
        int rounds = Integer.getInteger("rounds", 15);
        long[] best = new long[queries.size()];
        long[] totals = new long[queries.size()];
        List<Long> all = new ArrayList<>();
        Arrays.fill(best, Long.MAX_VALUE);
        for (int round = 0; round < warm + rounds; round++) {
            for (int number = 0; number < best.length; number++) {
                QueryParser parser = new QueryParser("text", analyzerOnce);
                long started = System.nanoTime();
                totals[number] = asked.total(parser.parse(queries.get(number)));
                long taken = System.nanoTime() - started;
                if (round >= warm) {
                    best[number] = Math.min(best[number], taken);
                    all.add(taken);
                }
            }
        }
        long[] sorted = best.clone();
        Arrays.sort(sorted);
        long[] every = all.stream().mapToLong(Long::longValue).sorted().toArray();
        out.printf("%s\tbest p50 %.1f p99 %.1f us\tall p50 %.1f p99 %.1f us%n", name, at(sorted, 50), at(sorted, 99), at(every, 50), at(every, 99));
        try (BufferedWriter each = new BufferedWriter(new OutputStreamWriter(Files.newOutputStream(Path.of(System.getProperty("each", "/tmp/lucene-each") + "-" + name.replaceAll("[^a-z0-9]+", "-"))), StandardCharsets.UTF_8))) {
            for (int number = 0; number < best.length; number++) {
                each.write(best[number] / 1000.0 + "\t" + totals[number] + "\n");
            }
        }
    }

    private static final Analyzer analyzerOnce = analyzer();

    private static double at(long[] sorted, int percent) {
        return sorted[Math.min(sorted.length - 1, sorted.length * percent / 100)] / 1000.0;
    }
}
